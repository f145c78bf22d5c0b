package event

// AppendJSONString adds text as jsonb prints a string: quoted, and escaped no more than it
// must be.
func AppendJSONString(dst, text []byte) []byte {
	dst = append(dst, '"')
	for {
		n := PlainEnd(text, 0)
		dst = append(dst, text[:n]...)
		if n == len(text) {
			return append(dst, '"')
		}
		switch c := text[n]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, `\u00`...)
			dst = append(dst, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		}
		text = text[n+1:]
	}
}

// AppendJSON adds a value of a batch as canonical JSON.
func AppendJSON(dst []byte, kind Kind, value []byte) []byte {
	switch kind {
	case Null:
		return append(dst, "null"...)
	case Text:
		return AppendJSONString(dst, value)
	}
	return append(dst, value...)
}
