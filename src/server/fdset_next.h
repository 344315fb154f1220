/* fdset_next.h - iterating over a set of descriptors. */

#ifndef FDSET_NEXT_H
#define FDSET_NEXT_H

#include <string.h>
#include <sys/select.h>

/* Returns the lowest descriptor in the set that is not below `from`, or FD_SETSIZE when there is
 * none. Looks at a word of the set at a time. */
static inline int fdset_next(const fd_set *set, int from)
{
	enum { BITS = 8 * sizeof(unsigned long) };
	unsigned long mask = ~0UL << from % BITS;
	unsigned long word;
	int at;

	for (at = from / BITS; at < FD_SETSIZE / BITS; at++) {
		memcpy(&word, (const char *)set + (size_t)at * sizeof word, sizeof word);
		if ((word & mask) != 0)
			return at * BITS + __builtin_ctzl(word & mask);
		mask = ~0UL;
	}
	return FD_SETSIZE;
}

#endif /* FDSET_NEXT_H */
