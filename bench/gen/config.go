package gen

import (
	"fmt"
	"time"
)

// NameSet is what the made-up product is, and so which events it sends.
type NameSet uint8

const (
	// Shop is a web shop with 48 event names and 23 properties. It is what
	// measurements use.
	Shop NameSet = iota
	// Product is an online service that people visit, sign up for and pay. It is what
	// the sample data uses; its persons always merge at sign-up.
	Product
)

// Config says which stream to make. The zero value of every field but Events
// means its default.
type Config struct {
	Events uint64    // how many, at most 40 billion
	Seed   uint64    // 0 is the stream that published figures are measured on
	Start  time.Time // of the first session; 2026-01-01 UTC
	Days   int       // from Start to the end; 90
	Names  NameSet
	// Merges makes the first event of a person under the user id a "$identify" that
	// carries "$anon_distinct_id", so that whoever reads the stream has identities to
	// merge. Number of events, ids and times stay as they are without.
	Merges bool
	// Profiles makes the first event under each distinct id say with "$set" who the person
	// is, so that every person has properties to ask for.
	Profiles bool
	// EventsPerPerson is the number of events for each person number; 64 for Shop, 15
	// for Product. Some numbers never show up in any session.
	EventsPerPerson uint64
}

const (
	// maxEvents keeps session numbers within 32 bits and products of them within 64.
	maxEvents = 40_000_000_000
	// maxPersons keeps the products of persons and sessions within 64 bits. More than one person for
	// ten events would be needed to get there.
	maxPersons = 4_000_000_000
	// maxDays is ten years.
	maxDays = 3660
)

// Validate says what is wrong with c, in words for the person who asked for it.
func (c Config) Validate() error {
	switch {
	case c.Events == 0:
		return fmt.Errorf("events is 0: ask for at least 1")
	case c.Events > maxEvents:
		return fmt.Errorf("events is %d: ask for at most %d", c.Events, uint64(maxEvents))
	case c.EventsPerPerson != 0 && c.Events/c.EventsPerPerson > maxPersons:
		return fmt.Errorf("%d events for each person make more than %d persons: ask for more of them", c.EventsPerPerson, uint64(maxPersons))
	case c.Days < 0 || c.Days > maxDays:
		return fmt.Errorf("days is %d: ask for 1 to %d", c.Days, maxDays)
	case c.Names > Product:
		return fmt.Errorf("name set %d does not exist", c.Names)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Start.IsZero() {
		c.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	c.Start = c.Start.UTC()
	if c.Days == 0 {
		c.Days = 90
	}
	if c.EventsPerPerson == 0 {
		c.EventsPerPerson = 64
		if c.Names == Product {
			c.EventsPerPerson = 15
		}
	}
	if c.Names == Product {
		c.Merges = true
	}
	return c
}
