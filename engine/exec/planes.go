package exec

// planeActors is how many actors a plane has: one for each bit of a word.
const planeActors = 64

// planes is the masks of the actors of a block from one on, turned round: bit a of word d is bit d of
// the mask of actor at+a. What is asked of a day is then asked of 64 actors at once. dst is used again.
func (b *dayBlock) planes(dst, masks []uint64, at int) []uint64 {
	masks = masks[at*b.words : min(at+planeActors, b.count)*b.words]
	return turnRound(dst, masks, b.words)
}

// turnRound makes bit i of mask k bit k of word i. There are up to 64 masks of so many words.
func turnRound(dst, masks []uint64, words int) []uint64 {
	dst = grow(dst, planeActors*words)
	for w := range words {
		square := (*[planeActors]uint64)(dst[planeActors*w:])
		n, any := 0, uint64(0)
		for at := w; at < len(masks); at += words {
			square[n] = masks[at]
			any |= masks[at]
			n++
		}
		clear(square[n:])
		if any != 0 {
			transpose(square)
		}
	}
	return dst
}

// transpose makes bit i of word k bit k of word i: quarters of a square change places, then those of
// each quarter (Warren, Hacker's Delight, 7-3).
func transpose(x *[planeActors]uint64) {
	low := uint64(1<<32 - 1)
	for j := 32; j > 0; j >>= 1 {
		shift := uint(j) & 63
		for k := 0; k < planeActors; k = (k + j + 1) &^ j {
			a, b := &x[k], &x[(k+j)&(planeActors-1)]
			t := (*a>>shift ^ *b) & low
			*a ^= t << shift
			*b ^= t
		}
		low ^= low << (shift >> 1)
	}
}
