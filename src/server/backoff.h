/*
 * backoff.h - the retry delay after EMFILE, ENOBUFS or ENOMEM.
 *
 * A socket on which a call failed for want of descriptors or memory stays ready as far as select()
 * can see. Watching it on would make the loop spin, so it is not watched until the delay is over.
 */

#ifndef BACKOFF_H
#define BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

/* Ten tries a second: nobody waits long, and the CPU time does not show. */
enum { BACKOFF_MS = 100 };

struct backoff {
	bool active;
	int64_t ends_at;
};

void backoff_start(struct backoff *backoff);

/* Ends a delay that is over. Returns true only when it has ended just now. */
bool backoff_expired(struct backoff *backoff);

#endif /* BACKOFF_H */
