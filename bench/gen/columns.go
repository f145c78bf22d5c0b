package gen

import (
	"context"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// columnRow is an event of a shop with a column for each property, and with the person's
// number: what a database is given that has neither properties nor identities. A property that an
// event does not have is 0 or empty.
type columnRow struct {
	UUID            string  `parquet:"uuid"`
	Event           string  `parquet:"event,dict"`
	DistinctID      string  `parquet:"distinct_id,dict"`
	Person          uint32  `parquet:"pid"`
	Timestamp       int64   `parquet:"ts,timestamp(millisecond)"`
	Browser         string  `parquet:"browser,dict"`
	BrowserVersion  string  `parquet:"browser_version,dict"`
	OS              string  `parquet:"os,dict"`
	DeviceType      string  `parquet:"device_type,dict"`
	CurrentURL      string  `parquet:"current_url"`
	Pathname        string  `parquet:"pathname,dict"`
	Referrer        string  `parquet:"referrer,dict"`
	ReferringDomain string  `parquet:"referring_domain,dict"`
	UTMSource       string  `parquet:"utm_source,dict"`
	UTMMedium       string  `parquet:"utm_medium,dict"`
	UTMCampaign     string  `parquet:"utm_campaign,dict"`
	Plan            string  `parquet:"plan,dict"`
	Price           float64 `parquet:"price"`
	Quantity        int32   `parquet:"quantity"`
	ProductID       string  `parquet:"product_id,dict"`
	SessionID       string  `parquet:"session_id,dict"`
	Variant         string  `parquet:"variant,dict"`
	ScreenWidth     int32   `parquet:"screen_width"`
	ScreenHeight    int32   `parquet:"screen_height"`
	Country         string  `parquet:"country,dict"`
	City            string  `parquet:"city,dict"`
	Lib             string  `parquet:"lib,dict"`
	SearchQuery     string  `parquet:"search_query,dict"`
	LoggedIn        bool    `parquet:"is_logged_in"`
}

// personRow is a person of a shop as "$set" of [Config.Profiles] has them.
type personRow struct {
	Person      uint32 `parquet:"pid"`
	Plan        string `parquet:"plan,dict"`
	Country     string `parquet:"country,dict"`
	CompanySize int32  `parquet:"company_size"`
}

// WriteColumns writes the events of sessions [from, to) of a shop as a Parquet file with a column
// for each property.
func (m *Model) WriteColumns(ctx context.Context, w io.Writer, from, to uint64) error {
	file := parquet.NewGenericWriter[columnRow](w, parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}), parquet.MaxRowsPerRowGroup(parquetGroup))
	rows := make([]columnRow, 0, parquetBatch)
	flush := func() error {
		_, err := file.Write(rows)
		rows = rows[:0]
		if err == nil {
			err = ctx.Err()
		}
		return err
	}
	err := m.Each(from, to, func(e *Event) error {
		v, d, s := &e.visit, &e.device, &e.source
		rows = append(rows, columnRow{
			UUID: string(e.AppendUUID(nil)), Event: e.Name, DistinctID: e.DistinctID, Person: uint32(e.Person), Timestamp: e.UnixMilli,
			Browser: d.browser, BrowserVersion: v.version, OS: d.os, DeviceType: d.kind, CurrentURL: string(e.appendURL(nil)), Pathname: e.Path,
			Referrer: s.url, ReferringDomain: s.domain, UTMSource: s.utmSource, UTMMedium: s.utmMedium, UTMCampaign: s.utmCampaign, Plan: e.Plan,
			Price: float64(e.PriceCents) / 100, Quantity: int32(e.Quantity), ProductID: e.ProductID, SessionID: v.sessionID, Variant: v.variant,
			ScreenWidth: int32(d.width), ScreenHeight: int32(d.height), Country: e.Country, City: v.city, Lib: v.lib,
			SearchQuery: e.SearchQuery, LoggedIn: e.Known,
		})
		if len(rows) == cap(rows) {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return fmt.Errorf("parquet: %w", err)
	}
	return file.Close()
}

// WritePersons writes the persons of a shop as a Parquet file, those without an event too.
func (m *Model) WritePersons(w io.Writer) error {
	file := parquet.NewGenericWriter[personRow](w, parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}), parquet.MaxRowsPerRowGroup(parquetGroup))
	for p := range m.Persons() {
		row := personRow{uint32(p), m.planOf(p), countries[m.countryNumber(p)], int32(m.companySizeOf(p))}
		if _, err := file.Write([]personRow{row}); err != nil {
			return fmt.Errorf("parquet: %w", err)
		}
	}
	return file.Close()
}
