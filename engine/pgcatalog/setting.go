package pgcatalog

import (
	"math"
	"strconv"
	"strings"
)

// settingKind is what pg_settings says of a setting beside its value.
type settingKind struct {
	kind, unit, context string
}

// settingKinds lists the settings that are not strings which everybody may set.
var settingKinds = func() map[string]settingKind {
	m := map[string]settingKind{}
	for k, names := range map[settingKind]string{
		{"bool", "", "internal"}:         "data_checksums in_hot_standby integer_datetimes is_superuser",
		{"integer", "", "internal"}:      "block_size max_identifier_length max_index_keys server_version_num",
		{"string", "", "internal"}:       "lc_collate lc_ctype server_encoding server_version",
		{"enum", "", "postmaster"}:       "wal_level",
		{"integer", "", "postmaster"}:    "max_connections max_prepared_transactions",
		{"integer", "8kB", "postmaster"}: "shared_buffers",
		{"bool", "", "sighup"}:           "autovacuum fsync ssl",
		{"bool", "", "superuser"}:        "allow_system_table_mods lo_compat_privileges log_duration track_activities",
		{"enum", "", "superuser"}:        "log_min_messages log_statement session_replication_role",
		{"integer", "ms", "superuser"}:   "log_min_duration_statement",
		{"string", "", "superuser"}:      "lc_messages",
		{"bool", "", "user"}: `array_nulls check_function_bodies debug_print_plan default_transaction_deferrable default_transaction_read_only
			enable_bitmapscan enable_hashagg enable_hashjoin enable_indexonlyscan enable_indexscan enable_material enable_mergejoin enable_nestloop
			enable_partitionwise_aggregate enable_partitionwise_join enable_seqscan enable_sort escape_string_warning exact_float_sum geqo jit
			operator_precedence_warning parallel_leader_participation quote_all_identifiers row_security standard_conforming_strings
			synchronize_seqscans transaction_deferrable transaction_read_only transform_null_equals`,
		{"enum", "", "user"}: `IntervalStyle backslash_quote bytea_output client_min_messages constraint_exclusion default_transaction_isolation
			force_parallel_mode password_encryption plan_cache_mode prickle.consistency synchronous_commit transaction_isolation xmlbinary xmloption`,
		{"integer", "", "user"}: `default_statistics_target effective_io_concurrency extra_float_digits from_collapse_limit gin_fuzzy_search_limit
			join_collapse_limit max_parallel_workers max_parallel_workers_per_gather max_recursive_rows prickle.user_weight tcp_keepalives_count`,
		{"integer", "8kB", "user"}: "effective_cache_size min_parallel_table_scan_size temp_buffers",
		{"integer", "kB", "user"}:  "maintenance_work_mem work_mem",
		{"integer", "ms", "user"}: `idle_in_transaction_session_timeout idle_session_timeout lock_timeout prickle.max_age statement_timeout
			tcp_user_timeout`,
		{"integer", "s", "user"}: "tcp_keepalives_idle tcp_keepalives_interval",
		{"real", "", "user"}:     "cursor_tuple_fraction hash_mem_multiplier parallel_setup_cost parallel_tuple_cost random_page_cost seq_page_cost",
		{"real", "ms", "user"}:   "vacuum_cost_delay",
	} {
		for _, name := range strings.Fields(names) {
			m[name] = k
		}
	}
	return m
}()

// kindOfSetting is the kind of a setting.
func kindOfSetting(name string) settingKind {
	if k, ok := settingKinds[name]; ok {
		return k
	}
	return settingKind{"string", "", "user"}
}

// unitSizes are the units that values are shown in, in bytes or milliseconds.
var unitSizes = map[string]float64{
	"B": 1, "kB": 1 << 10, "8kB": 8 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40,
	"us": 1e-3, "ms": 1, "s": 1e3, "min": 60e3, "h": 3600e3, "d": 86400e3,
}

// inUnit is the number of units that a value is which SHOW shows with another unit.
func inUnit(value, unit string) string {
	end := strings.TrimRight(value, "BdhikKmMGTnsu")
	n, err := strconv.ParseFloat(end, 64)
	if unit == "" || end == value || err != nil {
		return value
	}
	return strconv.FormatFloat(math.Round(n*unitSizes[value[len(end):]]/unitSizes[unit]), 'f', -1, 64)
}
