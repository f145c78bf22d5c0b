package expr

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/prickledb/prickle/engine/pgerr"
	"github.com/prickledb/prickle/storage/vec"
)

// Version is what version() answers. Clients read PostgreSQL's number out of it.
const Version = "PostgreSQL 15.0 on prickle"

func constText(value func(*Context) string) func(*frame) error {
	return text0(func(c *Context, dst []byte) ([]byte, error) { return append(dst, value(c)...), nil })
}

func init() {
	define("version", tText, nil, constText(func(*Context) string { return Version }))
	defineSession("current_database", tName, nil, constText(func(c *Context) string { return c.Database }))
	defineSession("current_catalog", tName, nil, constText(func(c *Context) string { return c.Database }))
	defineSession("session_user", tName, nil, constText(func(c *Context) string {
		if c.SessionUser == "" {
			return c.User
		}
		return c.SessionUser
	}))
	for _, name := range []string{"current_user", "user", "current_role"} {
		defineSession(name, tName, nil, constText(func(c *Context) string { return c.User }))
	}
	defineSession("pg_backend_pid", tInt4, nil, map0(func(c *Context) (int64, error) { return c.PID, nil }))
	end := func(c *Context, pid int64, session bool, ms int64) (bool, error) {
		if ms < 0 {
			return false, pgerr.New(pgerr.NumericOutOfRange, "\"timeout\" must not be negative")
		}
		if c.End == nil {
			return false, nil
		}
		return c.End(pid, session, time.Duration(min(ms, math.MaxInt32))*time.Millisecond)
	}
	define("pg_cancel_backend", tBool, types(tInt4), map1(func(c *Context, pid int64) (bool, error) { return end(c, pid, false, 0) })).Volatile = true
	define("pg_terminate_backend", tBool, types(tInt4), map1(func(c *Context, pid int64) (bool, error) { return end(c, pid, true, 0) })).Volatile = true
	define("pg_terminate_backend", tBool, types(tInt4, tInt8), map2(func(c *Context, pid, ms int64) (bool, error) { return end(c, pid, true, ms) })).Volatile = true
	defineSession("txid_current", tInt8, nil, map0(func(c *Context) (int64, error) { return c.Now, nil }))
	for _, name := range []string{"pg_postmaster_start_time", "pg_conf_load_time"} {
		define(name, tTz, nil, map0(func(*Context) (int64, error) { return started, nil }))
	}
	define("pg_is_in_recovery", tBool, nil, map0(func(*Context) (bool, error) { return false, nil }))
	setting := func(c *Context, dst []byte, name string, missing bool) ([]byte, error) {
		if c.Setting != nil {
			if v, ok := c.Setting(lower(name)); ok {
				return append(dst, v...), nil
			}
		}
		if missing {
			return dst, errNull
		}
		return dst, pgerr.New(pgerr.UndefinedObject, "unrecognized configuration parameter \"%s\"", name)
	}
	defineSession("current_setting", tText, types(tText), text1(func(c *Context, dst []byte, name string) ([]byte, error) { return setting(c, dst, name, false) }))
	defineSession("current_setting", tText, types(tText, tBool), text2(setting))
	define("nextval", tInt8, types(tText), map1(nextval)).Volatile = true
	define("nextval", tInt8, types(tReg), map1(func(c *Context, oid int64) (int64, error) { return nextval(c, sequenceName(c, oid)) })).Volatile = true
	define("currval", tInt8, types(tText), map1(currval)).Volatile = true
	define("currval", tInt8, types(tReg), map1(func(c *Context, oid int64) (int64, error) { return currval(c, sequenceName(c, oid)) })).Volatile = true
	define("lastval", tInt8, nil, map0(func(c *Context) (int64, error) { return currval(c, "") })).Volatile = true
	define("setval", tInt8, types(tText, tInt8), map2(func(c *Context, name string, n int64) (int64, error) { return setval(c, name, n, true) })).Volatile = true
	define("setval", tInt8, types(tText, tInt8, tBool), map3(setval)).Volatile = true
	define("setval", tInt8, types(tReg, tInt8), map2(func(c *Context, oid, n int64) (int64, error) { return setval(c, sequenceName(c, oid), n, true) })).Volatile = true
	define("setval", tInt8, types(tReg, tInt8, tBool), map3(func(c *Context, oid, n int64, taken bool) (int64, error) {
		return setval(c, sequenceName(c, oid), n, taken)
	})).Volatile = true
	config := define("set_config", tText, types(tText, tText, tBool), setConfig)
	config.Volatile, config.lax = true, true

	for name, end := range map[string]func(*Context) netip.AddrPort{
		"client": func(c *Context) netip.AddrPort { return c.Client }, "server": func(c *Context) netip.AddrPort { return c.Server },
	} {
		defineSession("inet_"+name+"_addr", vec.T(vec.Inet), nil, text0(func(c *Context, dst []byte) ([]byte, error) {
			if a := end(c); a.IsValid() {
				return append(dst, a.Addr().Unmap().WithZone("").String()...), nil
			}
			return dst, errNull
		}))
		defineSession("inet_"+name+"_port", tInt4, nil, map0(func(c *Context) (int64, error) {
			if a := end(c); a.IsValid() {
				return int64(a.Port()), nil
			}
			return 0, errNull
		}))
	}
	define("hash_fraction", vec.T(vec.Float8), types(tText), map1(hashFraction))
	uuids()
}

// setConfig is the kernel of set_config(name, value, is_local).
func setConfig(f *frame) error {
	name, value, local := viewOf[string](f, 0), viewOf[string](f, 1), viewOf[bool](f, 2)
	return eachText(f, func(i int, dst []byte) ([]byte, error) {
		if f.args[0].IsNull(i) {
			return dst, pgerr.New(pgerr.NullNotAllowed, "SET requires parameter name")
		}
		if f.ctx.SetConfig == nil {
			return dst, pgerr.New(pgerr.UndefinedObject, "unrecognized configuration parameter \"%s\"", name.at(i))
		}
		var to *string
		if !f.args[1].IsNull(i) {
			text := value.at(i)
			to = &text
		}
		v, err := f.ctx.SetConfig(name.at(i), to, !f.args[2].IsNull(i) && local.at(i))
		return append(dst, v...), err
	})
}

// sequenceName is the name of a relation by its number, and the number itself of one that there is not.
func sequenceName(c *Context, oid int64) string {
	if c.Objects != nil {
		if name, ok := c.Objects.Name(vec.RegClass, uint32(oid)); ok {
			return name
		}
	}
	return strconv.FormatInt(oid, 10)
}

func nextval(c *Context, name string) (int64, error) {
	if c.NextValue == nil {
		return 0, pgerr.New(pgerr.UndefinedTable, `relation "%s" does not exist`, name)
	}
	return c.NextValue(name)
}

func setval(c *Context, name string, n int64, taken bool) (int64, error) {
	if c.SetValue == nil {
		return 0, pgerr.New(pgerr.UndefinedTable, `relation "%s" does not exist`, name)
	}
	return n, c.SetValue(name, n, taken)
}

func currval(c *Context, name string) (int64, error) {
	if c.CurrentValue != nil {
		if n, ok, err := c.CurrentValue(name); ok || err != nil {
			return n, err
		}
	}
	if name == "" {
		return 0, pgerr.New(pgerr.ObjectNotInState, "lastval is not yet defined in this session")
	}
	return 0, pgerr.New(pgerr.ObjectNotInState, `currval of sequence "%s" is not yet defined in this session`, name)
}

// hashFraction is a number in [0, 1) that depends on the text alone, for samples.
func hashFraction(_ *Context, s string) (float64, error) {
	return float64(xxh3.HashString(s)>>11) / (1 << 53), nil
}

var started = time.Now().UnixMicro()

func uuids() {
	random := func(*Context) (u vec.UUIDValue, err error) {
		if _, err = rand.Read(u[:]); err != nil {
			return u, err
		}
		u[6] = u[6]&0x0f | 0x40
		u[8] = u[8]&0x3f | 0x80
		return u, nil
	}
	define("gen_random_uuid", tUUID, nil, map0(random)).Volatile = true
	define("uuid_generate_v7", tUUID, nil, map0(func(c *Context) (vec.UUIDValue, error) {
		u, err := random(c)
		var ms [8]byte
		binary.BigEndian.PutUint64(ms[:], uint64(time.Now().UnixMilli()))
		copy(u[:6], ms[2:])
		u[6] = u[6]&0x0f | 0x70
		return u, err
	})).Volatile = true
	define("uuid_timestamp", tTz, types(tUUID), map1(func(_ *Context, u vec.UUIDValue) (int64, error) {
		switch u[6] >> 4 {
		case 7:
			var ms [8]byte
			copy(ms[2:], u[:6])
			return int64(binary.BigEndian.Uint64(ms[:])) * 1000, nil
		case 1: // 100 ns since 1582-10-15
			t := int64(u[6]&0x0f)<<56 | int64(u[7])<<48 | int64(u[4])<<40 | int64(u[5])<<32 | int64(binary.BigEndian.Uint32(u[:4]))
			return (t - 0x01b21dd213814000) / 10, nil
		}
		return 0, errNull
	}))
}
