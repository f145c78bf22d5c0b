package gen

import (
	"encoding/binary"
	"strconv"
	"time"
)

// An Event is one event of the stream. It is lent by whoever hands it out and
// overwritten afterwards; its strings may be kept.
type Event struct {
	UUID       [16]byte
	Name       string
	DistinctID string
	UnixMilli  int64
	// Numbers of the person and the session, for a reader that wants to know the truth.
	Person, Session uint64

	// Properties. What is empty or zero is not among the properties of this event.
	Path        string
	Country     string
	Plan        string
	ProductID   string
	PriceCents  uint64
	Quantity    uint64
	SearchQuery string
	AmountCents uint64
	Known       bool // whether DistinctID is the user id
	// AnonID is set on the event that merges it into DistinctID.
	AnonID string

	device   device
	visit    visit
	source   source
	query    query
	names    NameSet
	head     []byte // properties of the session that go before those of the event
	tail     []byte // and after
	identity string // the "$set" of an event that has one, as JSON
}

// Time returns when the event happened.
func (e *Event) Time() time.Time { return time.UnixMilli(e.UnixMilli).UTC() }

// visit is what else the events of a session have in common; all but the id only in a shop.
type visit struct {
	version, variant, city, lib string
	sessionID                   string
}

// query is what follows the path in a URL.
type query struct {
	campaign bool // utm_source and utm_campaign of the session
	hasTab   bool
	tab      uint64
}

func (e *Event) setUUID(high, low uint64) {
	binary.BigEndian.PutUint64(e.UUID[:8], high)
	binary.BigEndian.PutUint64(e.UUID[8:], low)
}

// AppendUUID appends the event's id in its usual 36 characters.
func (e *Event) AppendUUID(dst []byte) []byte {
	return appendUUID(dst, binary.BigEndian.Uint64(e.UUID[:8]), binary.BigEndian.Uint64(e.UUID[8:]))
}

// AppendProperties appends the properties as one JSON object.
func (e *Event) AppendProperties(dst []byte) []byte {
	dst = append(dst, e.head...)
	dst = append(dst, `"$current_url":"`...)
	dst = e.appendURL(dst)
	dst = append(dst, `",`...)
	dst = appendText(dst, "$pathname", e.Path)
	dst = append(dst, e.tail...)
	if e.names == Product && e.Plan != "" {
		dst = appendText(dst, "plan", e.Plan)
	}
	if e.ProductID != "" {
		dst = appendText(dst, "product_id", e.ProductID)
		dst = appendCents(dst, "price", e.PriceCents)
		dst = appendNumber(dst, "quantity", e.Quantity)
	}
	if e.SearchQuery != "" {
		dst = appendText(dst, "search_query", e.SearchQuery)
	}
	if e.AmountCents != 0 {
		dst = appendCents(dst, "amount", e.AmountCents)
	}
	if e.AnonID != "" {
		dst = appendText(dst, "$anon_distinct_id", e.AnonID)
	}
	if e.identity != "" {
		dst = append(dst, `"$set":`...)
		dst = append(dst, e.identity...)
		dst = append(dst, ',')
	}
	dst = append(dst, `"is_logged_in":`...)
	dst = strconv.AppendBool(dst, e.Known)
	return append(dst, '}')
}

// appendURL appends the address of the page.
func (e *Event) appendURL(dst []byte) []byte {
	dst = append(dst, "https://app.example.com"...)
	dst = append(dst, e.Path...)
	if e.query.campaign {
		dst = append(dst, "?utm_source="...)
		dst = append(dst, e.source.utmSource...)
		dst = append(dst, "&utm_campaign="...)
		dst = append(dst, e.source.utmCampaign...)
	} else if e.query.hasTab {
		dst = append(dst, "?tab="...)
		dst = strconv.AppendUint(dst, e.query.tab, 10)
	}
	return dst
}

// appendText appends a member of an object, with a comma behind it. No value of the
// model has a character that needs escaping.
func appendText(dst []byte, key, value string) []byte {
	dst = append(dst, '"')
	dst = append(dst, key...)
	dst = append(dst, `":"`...)
	dst = append(dst, value...)
	return append(dst, `",`...)
}

func appendNumber(dst []byte, key string, value uint64) []byte {
	dst = append(dst, '"')
	dst = append(dst, key...)
	dst = append(dst, `":`...)
	dst = strconv.AppendUint(dst, value, 10)
	return append(dst, ',')
}

// appendCents appends an amount of money in its shortest form: 5, 5.1, 5.12.
func appendCents(dst []byte, key string, cents uint64) []byte {
	dst = append(dst, '"')
	dst = append(dst, key...)
	dst = append(dst, `":`...)
	dst = strconv.AppendUint(dst, cents/100, 10)
	if rest := cents % 100; rest != 0 {
		dst = append(dst, '.', '0'+byte(rest/10))
		if rest%10 != 0 {
			dst = append(dst, '0'+byte(rest%10))
		}
	}
	return append(dst, ',')
}
