package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3Options say how an S3-compatible service is reached. Keys that are empty are taken
// from where its tools look too: the environment, ~/.aws/credentials, the machine's role.
type S3Options struct {
	Endpoint             string // host:port, https:// or http:// before it; empty: Amazon's
	Region               string
	AccessKey, SecretKey string
	SessionToken         string
}

// S3 stores objects in a bucket, below a prefix. Buckets are named in the path.
type S3 struct {
	core           minio.Core
	bucket, prefix string
}

// unknownPart is the size of the parts of an object of a size that is not known: one is held in
// memory. 10,000 of them are allowed.
const unknownPart = 16 << 20

const amazon = "s3.amazonaws.com"

// NewS3 makes a store of a bucket. It contacts nobody.
func NewS3(bucket, prefix string, o S3Options) (*S3, error) {
	endpoint, secure := o.Endpoint, true
	if rest, ok := strings.CutPrefix(endpoint, "http://"); ok {
		endpoint, secure = rest, false
	}
	endpoint = strings.TrimRight(strings.TrimPrefix(endpoint, "https://"), "/")
	if endpoint == "" {
		endpoint = amazon
	}
	keys := credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{}, &credentials.EnvMinio{}, &credentials.FileAWSCredentials{}, &credentials.IAM{},
	})
	if o.AccessKey != "" {
		keys = credentials.NewStaticV4(o.AccessKey, o.SecretKey, o.SessionToken)
	}
	client, err := minio.New(endpoint, &minio.Options{Creds: keys, Secure: secure, Region: o.Region,
		BucketLookup: minio.BucketLookupPath})
	if err != nil {
		return nil, fmt.Errorf("s3 endpoint %q: %w", o.Endpoint, err)
	}
	return &S3{core: minio.Core{Client: client}, bucket: bucket, prefix: prefix}, nil
}

// String implements Store.
func (s *S3) String() string {
	if s.prefix == "" {
		return "s3://" + s.bucket
	}
	return "s3://" + s.bucket + "/" + s.prefix
}

// Endpoint is the host that is contacted.
func (s *S3) Endpoint() string { return s.core.EndpointURL().Host }

func (s *S3) key(name string) string { return path.Join(s.prefix, name) }

// fail names the object, and finds our word for what happened.
func (s *S3) fail(name string, err error) error {
	answer := minio.ToErrorResponse(err)
	switch {
	case answer.StatusCode == http.StatusNotFound && answer.Code != "NoSuchBucket":
		err = ErrNotFound
	case answer.StatusCode == http.StatusPreconditionFailed, answer.StatusCode == http.StatusConflict:
		err = ErrExists
	}
	return fmt.Errorf("%s/%s: %w", s, name, err)
}

// Put implements Store. The bytes travel with a checksum that the service compares.
func (s *S3) Put(ctx context.Context, name string, r io.Reader, size int64, ifAbsent bool) error {
	o := minio.PutObjectOptions{SendContentMd5: true, DisableContentSha256: true, ContentType: "application/octet-stream"}
	if ifAbsent {
		// A service that does not know the condition replaces the object; what is put with
		// it is named by its content, or is of one writer.
		if _, err := s.Stat(ctx, name); err == nil {
			return fmt.Errorf("%s/%s: %w", s, name, ErrExists)
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
		o.SetMatchETagExcept("*")
	}
	if _, err := s.core.Client.PutObject(ctx, s.bucket, s.key(name), r, size, o); err != nil {
		return s.fail(name, err)
	}
	return nil
}

// PutStream stores all bytes of r, however many they are, in place of an object that exists.
// After an error the object is as it was before.
func (s *S3) PutStream(ctx context.Context, name string, r io.Reader) error {
	o := minio.PutObjectOptions{SendContentMd5: true, DisableContentSha256: true, ContentType: "application/octet-stream", PartSize: unknownPart}
	if _, err := s.core.Client.PutObject(ctx, s.bucket, s.key(name), r, -1, o); err != nil {
		return s.fail(name, err)
	}
	return nil
}

// Get implements Store.
func (s *S3) Get(ctx context.Context, name string, off, size int64) (io.ReadCloser, error) {
	if size == 0 {
		return http.NoBody, nil
	}
	var o minio.GetObjectOptions
	if off > 0 || size > 0 {
		end := int64(0) // to the end
		if size > 0 {
			end = off + size - 1
		}
		if err := o.SetRange(off, end); err != nil {
			return nil, s.fail(name, err)
		}
	}
	r, _, _, err := s.core.GetObject(ctx, s.bucket, s.key(name), o)
	if err != nil {
		return nil, s.fail(name, err)
	}
	return r, nil
}

// List implements Store.
func (s *S3) List(ctx context.Context, dir string) ([]string, error) {
	names, err := s.Entries(ctx, dir)
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, "/")
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// Entries gives the names directly below dir, ascending, without dir; those that have further
// names below them with a slash behind. One name may be there in both ways.
func (s *S3) Entries(ctx context.Context, dir string) ([]string, error) {
	ctx, cancel := context.WithCancel(ctx) // the listing ends when it is not read to its end
	defer cancel()
	prefix := s.key(dir)
	if prefix != "" {
		prefix += "/"
	}
	var out []string
	for o := range s.core.Client.ListObjects(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix}) {
		if o.Err != nil {
			return nil, s.fail(dir, o.Err)
		}
		if name := strings.TrimPrefix(o.Key, prefix); strings.Trim(name, "/") != "" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Delete implements Store.
func (s *S3) Delete(ctx context.Context, name string) error {
	if err := s.core.RemoveObject(ctx, s.bucket, s.key(name), minio.RemoveObjectOptions{}); err != nil {
		return s.fail(name, err)
	}
	return nil
}

// Stat implements Store.
func (s *S3) Stat(ctx context.Context, name string) (int64, error) {
	info, err := s.core.StatObject(ctx, s.bucket, s.key(name), minio.StatObjectOptions{})
	if err != nil {
		return 0, s.fail(name, err)
	}
	return info.Size, nil
}
