package insight

import "fmt"

// Refused is a query that is not answered: its words are part of the interface.
type Refused struct {
	Code   string
	Detail string
	Attr   string // the field that is wrong, if it is one
}

func (r *Refused) Error() string { return r.Detail }

// refuse is a query with a field that cannot be as it is.
func refuse(attr, format string, args ...any) *Refused {
	return &Refused{Code: "invalid_input", Detail: fmt.Sprintf(format, args...), Attr: attr}
}

// refuseCode is a refusal with a code of its own.
func refuseCode(code, format string, args ...any) *Refused {
	return &Refused{Code: code, Detail: fmt.Sprintf(format, args...)}
}
