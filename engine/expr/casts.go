package expr

import "github.com/prickledb/prickle/storage/vec"

// castFunction is how values of one type become another; a nil function with true means
// that the payload stays as it is.
func castFunction(from, to vec.Type) (*Function, bool) {
	if from.Payload() == to.Payload() && !from.Array {
		return nil, true
	}
	return nil, false
}

func tryFunction(fn *Function) *Function { return fn }
