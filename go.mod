module github.com/prickledb/prickle

go 1.26.8

require (
	github.com/RoaringBitmap/roaring/v2 v2.30.0 // person index and sets of persons
	github.com/apache/arrow-go/v18 v18.8.0 // tests only: reads the streams that we write
	github.com/cockroachdb/datadriven v1.0.3 // tests only: cases as text
	github.com/dgraph-io/ristretto/v2 v2.4.2 // keeps the rows of insight answers
	github.com/google/uuid v1.6.0 // versions 5 and 7
	github.com/hashicorp/go-hclog v1.6.3 // the logger that hashicorp/raft takes
	github.com/hashicorp/raft v1.8.0 // consensus; the log is the only write-ahead log
	github.com/jackc/pgx/v5 v5.12.0 // PostgreSQL messages (pgproto3), and the client of our commands and tests
	github.com/klauspost/compress v1.20.3 // zstd in segments and files, S2 in log entries
	github.com/minio/minio-go/v7 v7.4.1 // backups on S3-compatible services: signing, parts, retries
	github.com/parquet-go/parquet-go v0.32.0 // reading and writing Parquet files
	github.com/spf13/cobra v1.10.2 // the command line
	github.com/spf13/pflag v1.0.10 // flags made from the table of settings, for cobra
	github.com/zeebo/xxh3 v1.1.0 // hashes of files and values
	golang.org/x/sys v0.49.0 // file locks, fdatasync, free space
	golang.org/x/term v0.47.0 // the shell's line editor, widths of terminals
	golang.org/x/text v0.42.0 // Unicode: passwords in SCRAM, and normalize()
)

require (
	github.com/andybalholm/brotli v1.2.3 // indirect
	github.com/bits-and-blooms/bitset v1.24.4 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dustin/go-humanize v1.0.1 // indirect
	github.com/fatih/color v1.19.0 // indirect
	github.com/goccy/go-json v0.10.6 // indirect
	github.com/google/flatbuffers v25.12.19+incompatible // indirect
	github.com/hashicorp/go-immutable-radix v1.3.1 // indirect
	github.com/hashicorp/go-metrics v0.7.0 // indirect
	github.com/hashicorp/go-msgpack/v2 v2.1.5 // indirect
	github.com/hashicorp/golang-lru v1.0.2 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/klauspost/cpuid/v2 v2.4.0 // indirect
	github.com/klauspost/crc32 v1.3.0 // indirect
	github.com/mattn/go-colorable v0.1.15 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/minio/crc64nvme v1.1.1 // indirect
	github.com/minio/md5-simd v1.1.2 // indirect
	github.com/mschoch/smat v0.2.0 // indirect
	github.com/parquet-go/bitpack v1.0.0 // indirect
	github.com/parquet-go/jsonlite v1.0.0 // indirect
	github.com/philhofer/fwd v1.2.0 // indirect
	github.com/pierrec/lz4/v4 v4.1.29 // indirect
	github.com/pmezard/go-difflib v1.0.0 // indirect
	github.com/rs/xid v1.6.0 // indirect
	github.com/tinylib/msgp v1.6.4 // indirect
	github.com/twpayne/go-geom v1.6.1 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.57.0 // indirect
	golang.org/x/exp v0.0.0-20260112195511-716be5621a96 // indirect
	golang.org/x/net v0.60.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
	gopkg.in/ini.v1 v1.67.3 // indirect
)
