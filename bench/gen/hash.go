package gen

const golden = 0x9E3779B97F4A7C15

// Mix is the finaliser of splitmix64: every bit of the result depends on every bit of x.
func Mix(x uint64) uint64 {
	x += golden
	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9
	x = (x ^ (x >> 27)) * 0x94D049BB133111EB
	return x ^ (x >> 31)
}

// A question is what is asked about a person, a session or an event. Each has
// its own hash, so that answers do not depend on each other.
type question uint64

// The values are part of the stream: a changed one changes every figure measured before.
const (
	sessionLength   question = 1
	sessionPerson   question = 2
	personKind      question = 3
	personIdentify  question = 4
	anonIDHigh      question = 5
	anonIDLow       question = 6
	sessionTraits   question = 11
	personTraits    question = 12
	secondDevice    question = 13
	personVariant   question = 14
	sessionIDHigh   question = 15
	sessionIDLow    question = 16
	eventChoice     question = 17
	eventDetail     question = 18
	productPrice    question = 19
	personPlan      question = 20
	eventUUIDHigh   question = 30
	eventUUIDLow    question = 31
	signUpSlot      question = 32
	firstPayment    question = 33
	personFirstName question = 34
	personLastName  question = 35
	personCompany   question = 36
	companySize     question = 37
	questions                = 38
)

// hasher answers questions for one seed.
type hasher [questions]uint64

func newHasher(seed uint64) hasher {
	var h hasher
	if seed != 0 {
		seed = Mix(seed)
	}
	for q := range h {
		h[q] = Mix(uint64(q) ^ seed)
	}
	return h
}

func (h *hasher) hash(key uint64, q question) uint64 { return Mix(key*golden ^ h[q]) }

// pick returns floor(n * u^power), where u is the low 20 bits of hash as a fraction of one.
// The higher the power, the more often the result is small.
func pick(hash, n uint64, power int) uint64 {
	u := hash & 0xFFFFF
	switch power { // u^power with 32 bits behind the point
	case 1:
		u <<= 12
	case 2:
		u = u * u >> 8
	case 3:
		u = u * u * u >> 28
	default:
		u = u * u >> 8
		u = u * u >> 32
	}
	return n * u >> 32
}

// uuid4 makes two hashes a random UUID, as two big-endian halves.
func uuid4(high, low uint64) (uint64, uint64) {
	return high&^0xF000 | 0x4000, variant(low)
}

// uuid7 makes a UUID that sorts by time.
func uuid7(unixMilli, high, low uint64) (uint64, uint64) {
	return unixMilli<<16 | 0x7000 | high&0xFFF, variant(low)
}

func variant(low uint64) uint64 { return low&^(3<<62) | 1<<63 }

const hexDigits = "0123456789abcdef"

// appendUUID appends the 36 characters of a UUID.
func appendUUID(dst []byte, high, low uint64) []byte {
	for i := 60; i >= 0; i -= 4 {
		dst = append(dst, hexDigits[high>>uint(i)&15])
		if i == 32 || i == 16 {
			dst = append(dst, '-')
		}
	}
	dst = append(dst, '-')
	for i := 60; i >= 0; i -= 4 {
		dst = append(dst, hexDigits[low>>uint(i)&15])
		if i == 48 {
			dst = append(dst, '-')
		}
	}
	return dst
}
