/*
 * backoff.h - leaving something alone for a while.
 *
 * What fails for want of descriptors or memory is ready all the same as far as select can see, and
 * would be tried over and over. So it is not watched again before some time has passed.
 */

#ifndef BACKOFF_H
#define BACKOFF_H

#include <stdbool.h>
#include <time.h>

/* Ten tries a second: nobody waits long, and they cost nothing to speak of. */
enum { REST_MS = 100 };

struct rest {
	bool on;
	struct timespec until;
};

void rest_begin(struct rest *rest);

/* Ends a rest that has been long enough; whether it has ended just now. */
bool rest_end_in_time(struct rest *rest);

#endif /* BACKOFF_H */
