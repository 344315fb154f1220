/* spool.h - what waits for the broker: messages of whole lines, bounded in bytes. */

#ifndef SPOOL_H
#define SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "stamp.h"

struct message {
	struct message *next;
	struct stamp stamp;
	uint64_t lines;
	size_t length;
	char text[];
};

/* What a message takes beside its text: the struct, and what malloc() adds. */
enum { MESSAGE_OVERHEAD = sizeof(struct message) + 16 };

struct spool {
	struct message *first, *last;
	size_t limit, bytes; /* overhead included */
	uint64_t lines;
	struct stamp next; /* of the message to come */
	uint64_t lost;     /* lines dropped since the start */
	uint64_t unlogged; /* those of them that have not been logged */
};

/* Begins an epoch: it is `now` unless that would be no later than the last. */
void spool_begin_epoch(struct spool *spool, uint64_t now);

/* Appends a message, and drops the oldest ones where they do not fit together. Where there is no
 * memory for it, it is dropped itself. */
void spool_add(struct spool *spool, const char *text, size_t length);

/* Removes the first message, which there is. */
void spool_remove_first(struct spool *spool);

/* Counts lines as lost. */
void spool_lose(struct spool *spool, uint64_t lines);

#endif /* SPOOL_H */
