package gen

import "time"

// DemoEvents is how many events the sample data has unless somebody asks for another number.
const DemoEvents = 1_204_881

// Demo returns the sample data: 90 days of a product that people visit, look at the
// prices of, sign up for and pay. The last event is before now. Only the times depend on now:
// the same number of events has the same ids, persons and names whenever it is loaded.
func Demo(now time.Time, events uint64) Config {
	const days = 90
	return Config{
		Events: events,
		Seed:   7742,
		// On the hour, so that busy hours are those of a clock.
		Start:  now.UTC().Truncate(time.Hour).AddDate(0, 0, -days),
		Days:   days,
		Names:  Product,
		Merges: true,
	}
}
