package hits

import (
	"fmt"
	"strings"
)

// Questions are 43, numbered from 0. Those with ties at their LIMIT, or without an order, may
// be answered with one or the other row; [Question.Exact] says which may not.
var Questions = questions()

// Question is one of them.
type Question struct {
	SQL string
	// Exact says that there is one right answer. Where there is not, the columns that
	// Compare names have one right list of values; an empty Compare says only the count of rows
	// has.
	Exact   bool
	Compare []int
}

const (
	july = `EventDate >= '2013-07-01' AND EventDate <= '2013-07-31'`
	site = `CounterID = 62 AND ` + july
)

func questions() []Question {
	exact := func(sql string) Question { return Question{SQL: sql, Exact: true} }
	by := func(sql string, columns ...int) Question { return Question{SQL: sql, Compare: columns} }
	var sums []string
	for i := range 90 {
		if i == 0 {
			sums = append(sums, "sum(ResolutionWidth)")
		} else {
			sums = append(sums, fmt.Sprintf("sum(ResolutionWidth + %d)", i))
		}
	}
	return []Question{
		exact(`SELECT count(*) FROM hits`),
		exact(`SELECT count(*) FROM hits WHERE AdvEngineID <> 0`),
		exact(`SELECT sum(AdvEngineID), count(*), avg(ResolutionWidth) FROM hits`),
		exact(`SELECT avg(UserID) FROM hits`),
		exact(`SELECT count(DISTINCT UserID) FROM hits`),
		exact(`SELECT count(DISTINCT SearchPhrase) FROM hits`),
		exact(`SELECT min(EventDate), max(EventDate) FROM hits`),
		by(`SELECT AdvEngineID, count(*) FROM hits WHERE AdvEngineID <> 0 GROUP BY AdvEngineID ORDER BY count(*) DESC`, 1),
		by(`SELECT RegionID, count(DISTINCT UserID) AS u FROM hits GROUP BY RegionID ORDER BY u DESC LIMIT 10`, 1),
		by(`SELECT RegionID, sum(AdvEngineID), count(*) AS c, avg(ResolutionWidth), count(DISTINCT UserID) FROM hits GROUP BY RegionID ORDER BY c DESC LIMIT 10`, 2),
		by(`SELECT MobilePhoneModel, count(DISTINCT UserID) AS u FROM hits WHERE MobilePhoneModel <> '' GROUP BY MobilePhoneModel ORDER BY u DESC LIMIT 10`, 1),
		by(`SELECT MobilePhone, MobilePhoneModel, count(DISTINCT UserID) AS u FROM hits WHERE MobilePhoneModel <> '' GROUP BY MobilePhone, MobilePhoneModel ORDER BY u DESC LIMIT 10`, 2),
		by(`SELECT SearchPhrase, count(*) AS c FROM hits WHERE SearchPhrase <> '' GROUP BY SearchPhrase ORDER BY c DESC LIMIT 10`, 1),
		by(`SELECT SearchPhrase, count(DISTINCT UserID) AS u FROM hits WHERE SearchPhrase <> '' GROUP BY SearchPhrase ORDER BY u DESC LIMIT 10`, 1),
		by(`SELECT SearchEngineID, SearchPhrase, count(*) AS c FROM hits WHERE SearchPhrase <> '' GROUP BY SearchEngineID, SearchPhrase ORDER BY c DESC LIMIT 10`, 2),
		by(`SELECT UserID, count(*) FROM hits GROUP BY UserID ORDER BY count(*) DESC LIMIT 10`, 1),
		by(`SELECT UserID, SearchPhrase, count(*) FROM hits GROUP BY UserID, SearchPhrase ORDER BY count(*) DESC LIMIT 10`, 2),
		by(`SELECT UserID, SearchPhrase, count(*) FROM hits GROUP BY UserID, SearchPhrase LIMIT 10`),
		by(`SELECT UserID, extract(minute FROM EventTime) AS m, SearchPhrase, count(*) FROM hits GROUP BY UserID, m, SearchPhrase ORDER BY count(*) DESC LIMIT 10`, 3),
		exact(fmt.Sprintf(`SELECT UserID FROM hits WHERE UserID = %d`, int64(knownUser))),
		exact(`SELECT count(*) FROM hits WHERE URL LIKE '%google%'`),
		by(`SELECT SearchPhrase, min(URL), count(*) AS c FROM hits WHERE URL LIKE '%google%' AND SearchPhrase <> '' GROUP BY SearchPhrase ORDER BY c DESC LIMIT 10`, 2),
		by(`SELECT SearchPhrase, min(URL), min(Title), count(*) AS c, count(DISTINCT UserID) FROM hits WHERE Title LIKE '%Google%' AND URL NOT LIKE '%.google.%' AND SearchPhrase <> '' GROUP BY SearchPhrase ORDER BY c DESC LIMIT 10`, 3),
		by(`SELECT * FROM hits WHERE URL LIKE '%google%' ORDER BY EventTime LIMIT 10`, 4),
		by(`SELECT SearchPhrase FROM hits WHERE SearchPhrase <> '' ORDER BY EventTime LIMIT 10`),
		exact(`SELECT SearchPhrase FROM hits WHERE SearchPhrase <> '' ORDER BY SearchPhrase LIMIT 10`),
		exact(`SELECT SearchPhrase FROM hits WHERE SearchPhrase <> '' ORDER BY EventTime, SearchPhrase LIMIT 10`),
		exact(`SELECT CounterID, avg(length(URL)) AS l, count(*) AS c FROM hits WHERE URL <> '' GROUP BY CounterID HAVING count(*) > 1000 ORDER BY l DESC, CounterID LIMIT 25`),
		exact(`SELECT regexp_replace(Referer, '^https?://(?:www\.)?([^/]+)/.*$', '\1') AS k, avg(length(Referer)) AS l, count(*) AS c, min(Referer) FROM hits WHERE Referer <> '' GROUP BY k HAVING count(*) > 1000 ORDER BY l DESC, k LIMIT 25`),
		exact(`SELECT ` + strings.Join(sums, ", ") + ` FROM hits`),
		by(`SELECT SearchEngineID, ClientIP, count(*) AS c, sum(IsRefresh), avg(ResolutionWidth) FROM hits WHERE SearchPhrase <> '' GROUP BY SearchEngineID, ClientIP ORDER BY c DESC LIMIT 10`, 2),
		by(`SELECT WatchID, ClientIP, count(*) AS c, sum(IsRefresh), avg(ResolutionWidth) FROM hits WHERE SearchPhrase <> '' GROUP BY WatchID, ClientIP ORDER BY c DESC LIMIT 10`, 2),
		by(`SELECT WatchID, ClientIP, count(*) AS c, sum(IsRefresh), avg(ResolutionWidth) FROM hits GROUP BY WatchID, ClientIP ORDER BY c DESC LIMIT 10`, 2),
		by(`SELECT URL, count(*) AS c FROM hits GROUP BY URL ORDER BY c DESC LIMIT 10`, 1),
		by(`SELECT 1, URL, count(*) AS c FROM hits GROUP BY 1, URL ORDER BY c DESC LIMIT 10`, 2),
		by(`SELECT ClientIP, ClientIP - 1, ClientIP - 2, ClientIP - 3, count(*) AS c FROM hits GROUP BY ClientIP, ClientIP - 1, ClientIP - 2, ClientIP - 3 ORDER BY c DESC LIMIT 10`, 4),
		by(`SELECT URL, count(*) AS PageViews FROM hits WHERE `+site+` AND DontCountHits = 0 AND IsRefresh = 0 AND URL <> '' GROUP BY URL ORDER BY PageViews DESC LIMIT 10`, 1),
		by(`SELECT Title, count(*) AS PageViews FROM hits WHERE `+site+` AND DontCountHits = 0 AND IsRefresh = 0 AND Title <> '' GROUP BY Title ORDER BY PageViews DESC LIMIT 10`, 1),
		by(`SELECT URL, count(*) AS PageViews FROM hits WHERE `+site+` AND IsRefresh = 0 AND IsLink <> 0 AND IsDownload = 0 GROUP BY URL ORDER BY PageViews DESC LIMIT 10 OFFSET 1000`, 1),
		by(`SELECT TraficSourceID, SearchEngineID, AdvEngineID, CASE WHEN SearchEngineID = 0 AND AdvEngineID = 0 THEN Referer ELSE '' END AS src, URL AS dst, count(*) AS PageViews FROM hits WHERE `+site+` AND IsRefresh = 0 GROUP BY TraficSourceID, SearchEngineID, AdvEngineID, src, dst ORDER BY PageViews DESC LIMIT 10 OFFSET 1000`, 5),
		by(fmt.Sprintf(`SELECT URLHash, EventDate, count(*) AS PageViews FROM hits WHERE `+site+` AND IsRefresh = 0 AND TraficSourceID IN (-1, 6) AND RefererHash = %d GROUP BY URLHash, EventDate ORDER BY PageViews DESC LIMIT 10 OFFSET 100`, int64(knownReferrer)), 2),
		by(fmt.Sprintf(`SELECT WindowClientWidth, WindowClientHeight, count(*) AS PageViews FROM hits WHERE `+site+` AND IsRefresh = 0 AND DontCountHits = 0 AND URLHash = %d GROUP BY WindowClientWidth, WindowClientHeight ORDER BY PageViews DESC LIMIT 10 OFFSET 10000`, int64(knownURL)), 2),
		exact(`SELECT date_trunc('minute', EventTime) AS m, count(*) AS PageViews FROM hits WHERE CounterID = 62 AND EventDate >= '2013-07-14' AND EventDate <= '2013-07-15' AND IsRefresh = 0 AND DontCountHits = 0 GROUP BY m ORDER BY m LIMIT 10 OFFSET 1000`),
	}
}
