package agg

// A batch of rows of few groups is summed into lanes, which rows take in turn: two rows that follow each other and are of one
// group then do not wait for each other. A lane has a sum and, in its lowest bits, how many it is of.
const (
	fewGroups  = 64
	fewLanes   = 4
	countBits  = 11
	fewRows    = 1 << (countBits - 1)    // at a time
	mostSummed = 1<<(63-2*countBits) - 1 // fewRows of these fit beside the count
	mostRows   = 1 << 20                 // of these, into 64 bits
)

// fewSums is what rows of few groups add up to, by group, and how many they are.
type fewSums struct {
	sum, n [fewGroups]int64
}

// sumFew adds up x[rows[i]] by groups[i]. It says false if one of them is too large, or there are too many.
func sumFew(x []int64, groups, rows []uint32) (out fewSums, ok bool) {
	if len(rows) > mostRows {
		return out, false
	}
	large := int64(0) // has the bits of all, of negative ones those that are 0
	for len(rows) > 0 {
		n := min(len(rows), fewRows)
		g, r := groups[:n], rows[:n]
		groups, rows = groups[n:], rows[n:]
		var lanes [fewLanes][fewGroups]int64
		for len(r) >= fewLanes && len(g) >= fewLanes {
			a, b, c, d := x[r[0]], x[r[1]], x[r[2]], x[r[3]]
			large |= (a ^ a>>63) | (b ^ b>>63) | (c ^ c>>63) | (d ^ d>>63)
			lanes[0][g[0]%fewGroups] += a<<countBits + 1
			lanes[1][g[1]%fewGroups] += b<<countBits + 1
			lanes[2][g[2]%fewGroups] += c<<countBits + 1
			lanes[3][g[3]%fewGroups] += d<<countBits + 1
			g, r = g[fewLanes:], r[fewLanes:]
		}
		for i, row := range r {
			large |= x[row] ^ x[row]>>63
			lanes[0][g[i]%fewGroups] += x[row]<<countBits + 1
		}
		for group := range fewGroups {
			packed := lanes[0][group] + lanes[1][group] + lanes[2][group] + lanes[3][group]
			out.sum[group] += packed >> countBits
			out.n[group] += packed & (1<<countBits - 1)
		}
	}
	return out, large <= mostSummed
}
