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
// each quarter (Warren, Hacker's Delight, 7-3), three times over for eight words at a time.
func transpose(x *[planeActors]uint64) {
	for k := range 8 {
		a0, a1, a2, a3, a4, a5, a6, a7 := x[k], x[k+8], x[k+16], x[k+24], x[k+32], x[k+40], x[k+48], x[k+56]
		a0, a4 = swapQuarters(a0, a4, 32, 1<<32-1)
		a1, a5 = swapQuarters(a1, a5, 32, 1<<32-1)
		a2, a6 = swapQuarters(a2, a6, 32, 1<<32-1)
		a3, a7 = swapQuarters(a3, a7, 32, 1<<32-1)
		a0, a2 = swapQuarters(a0, a2, 16, 0x0000ffff0000ffff)
		a1, a3 = swapQuarters(a1, a3, 16, 0x0000ffff0000ffff)
		a4, a6 = swapQuarters(a4, a6, 16, 0x0000ffff0000ffff)
		a5, a7 = swapQuarters(a5, a7, 16, 0x0000ffff0000ffff)
		x[k], x[k+8] = swapQuarters(a0, a1, 8, 0x00ff00ff00ff00ff)
		x[k+16], x[k+24] = swapQuarters(a2, a3, 8, 0x00ff00ff00ff00ff)
		x[k+32], x[k+40] = swapQuarters(a4, a5, 8, 0x00ff00ff00ff00ff)
		x[k+48], x[k+56] = swapQuarters(a6, a7, 8, 0x00ff00ff00ff00ff)
	}
	for k := 0; k < planeActors; k += 8 {
		y := (*[8]uint64)(x[k:])
		a0, a1, a2, a3, a4, a5, a6, a7 := y[0], y[1], y[2], y[3], y[4], y[5], y[6], y[7]
		a0, a4 = swapQuarters(a0, a4, 4, 0x0f0f0f0f0f0f0f0f)
		a1, a5 = swapQuarters(a1, a5, 4, 0x0f0f0f0f0f0f0f0f)
		a2, a6 = swapQuarters(a2, a6, 4, 0x0f0f0f0f0f0f0f0f)
		a3, a7 = swapQuarters(a3, a7, 4, 0x0f0f0f0f0f0f0f0f)
		a0, a2 = swapQuarters(a0, a2, 2, 0x3333333333333333)
		a1, a3 = swapQuarters(a1, a3, 2, 0x3333333333333333)
		a4, a6 = swapQuarters(a4, a6, 2, 0x3333333333333333)
		a5, a7 = swapQuarters(a5, a7, 2, 0x3333333333333333)
		y[0], y[1] = swapQuarters(a0, a1, 1, 0x5555555555555555)
		y[2], y[3] = swapQuarters(a2, a3, 1, 0x5555555555555555)
		y[4], y[5] = swapQuarters(a4, a5, 1, 0x5555555555555555)
		y[6], y[7] = swapQuarters(a6, a7, 1, 0x5555555555555555)
	}
}

// swapQuarters exchanges the high part of one word, of each pair of such, with the low part of another.
func swapQuarters(a, b uint64, shift uint, low uint64) (uint64, uint64) {
	t := (a>>shift ^ b) & low
	return a ^ t<<shift, b ^ t
}
