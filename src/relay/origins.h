/* origins.h - what has been heard of each other relay, to find what is missing or comes twice. */

#ifndef ORIGINS_H
#define ORIGINS_H

#include <stdbool.h>
#include <stdint.h>

#include "stamp.h"

/* ORIGINS: those remembered; of more, those not heard for longest are forgotten. NAME_SIZE: room
 * for a name, which is at most a byte shorter. EPOCHS: remembered of each, so that messages that a
 * broker delivers again are recognized although a new epoch has begun. */
enum { ORIGINS = 256, NAME_SIZE = 64, EPOCHS = 4 };

struct origin {
	char name[NAME_SIZE];
	struct {
		uint64_t epoch, last_seq; /* the epoch is 0 where there is none */
	} epochs[EPOCHS];                 /* the newest is the first */
	uint64_t lines;                   /* sent in the newest epoch up to the last message */
	uint64_t unlogged;                /* lost lines that have not been logged */
	uint64_t heard_at;                /* counts calls of origins_find() */
};

struct origins {
	struct origin all[ORIGINS];
	uint64_t calls;
};

/* ORIGIN_GOES_ON: it is the one after the last message, or the first of its origin. */
enum verdict { ORIGIN_GOES_ON, ORIGIN_SKIPS, ORIGIN_BEGINS_EPOCH, ORIGIN_REPEATS };

/* Returns the origin of this name, a new one if need be, or NULL where the name is too long. */
struct origin *origins_find(struct origins *origins, const char *name);

/* Takes a message with so many lines into account, which the caller drops if it is repeated. Sets
 * *lost to the number of lines that are missing before it. */
enum verdict origin_check(struct origin *origin, const struct stamp *stamp, uint64_t line_count,
                          uint64_t *lost);

#endif /* ORIGINS_H */
