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

/* The same for a round that begins anywhere: after FD_SETSIZE - 1 it goes on with 0, which counts
 * as FD_SETSIZE then. A round from `start` ends where the result is not below
 * start + FD_SETSIZE. */
static inline int fdset_next_in_round(const fd_set *set, int from)
{
	int at = from < FD_SETSIZE ? fdset_next(set, from) : FD_SETSIZE;

	if (at < FD_SETSIZE)
		return at;
	return FD_SETSIZE + fdset_next(set, from < FD_SETSIZE ? 0 : from - FD_SETSIZE);
}

/* Loops over the descriptors of a set, in order. The body may change the set. */
#define FOR_EACH_FD(sd, set) \
	for (sd = fdset_next(set, 0); sd < FD_SETSIZE; sd = fdset_next(set, sd + 1))

/* The same from `start` on and round to it; `at` is `sd`, plus FD_SETSIZE in the second part. */
#define FOR_EACH_FD_FROM(sd, at, start, set)                                                      \
	for (at = fdset_next_in_round(set, start); sd = at % FD_SETSIZE, at < start + FD_SETSIZE; \
	     at = fdset_next_in_round(set, at + 1))

#endif /* FDSET_NEXT_H */
