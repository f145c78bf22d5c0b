package expr

import (
	"encoding/binary"
	"strconv"
)

// The id that keyvalue() gives an object tells where the object is: the number of its document times
// documentIDs, and the place that it has there in PostgreSQL's binary form of JSON. The document itself is number 0, the
// variables are number 1, and what keyvalue() gives are documents from 2 on.
const documentIDs = 10_000_000_000

// container is the id of an object.
func (r *pathRun) container(object []byte) int64 {
	if r.places == nil {
		r.places = map[*byte]int64{}
	}
	for {
		if at, ok := r.places[&object[0]]; ok || r.placed == len(r.documents) {
			return at
		}
		r.placesIn(r.documents[r.placed], int64(r.placed)*documentIDs)
		r.placed++
	}
}

// placesIn notes where a container that begins at a place and the containers in it are, by their first bytes. It
// gives the place behind it. A container is a word for how many values there are, one for each value, an object's
// keys among them, and then the values: texts as they are, numbers and containers from a whole word on.
func (r *pathRun) placesIn(v []byte, at int64) int64 {
	r.places[&v[0]] = at
	var keys, values [][]byte
	eachMember(v, func(key, value []byte) bool {
		keys, values = append(keys, key), append(values, value)
		return true
	})
	eachElement(v, func(e []byte) bool { values = append(values, e); return true })
	at += 4 + 4*int64(len(keys)+len(values))
	for _, value := range append(keys, values...) {
		kind := jsonType(value)
		if kind == "number" || kind == "object" || kind == "array" {
			at = (at + 3) &^ 3
		}
		switch kind {
		case "string":
			at += int64(len(jsonText(nil, value)))
		case "number":
			at += numberBytes(string(value))
		case "object", "array":
			at = r.placesIn(value, at)
		}
	}
	return at
}

// numberBytes is how many bytes a number takes there: its size in four, its sign, weight and scale in two, and
// its digits of base 10000.
func numberBytes(text string) int64 {
	d, err := parseNumeric(text)
	if err != nil {
		return 0
	}
	return 4 + 2 + 2*int64(binary.BigEndian.Uint16(appendBinaryNumeric(nil, d)))
}

// keyValues adds what keyvalue() gives of an object: an object for each of its members.
func (r *pathRun) keyValues(object []byte, out [][]byte) [][]byte {
	id := r.container(object)
	eachMember(object, func(key, value []byte) bool {
		one := strconv.AppendInt([]byte(`{"id": `), id, 10)
		one = append(append(one, `, "key": `...), key...)
		one = append(append(append(one, `, "value": `...), value...), '}')
		out = append(out, one)
		r.documents = append(r.documents, one)
		return true
	})
	return out
}
