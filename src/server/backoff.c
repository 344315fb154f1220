/* backoff.c - see backoff.h. */

#define _GNU_SOURCE /* clock_gettime */

#include "backoff.h"

void backoff_start(struct backoff *backoff)
{
	clock_gettime(CLOCK_MONOTONIC, &backoff->until);
	backoff->until.tv_nsec += BACKOFF_MS * 1000000L;
	backoff->until.tv_sec += backoff->until.tv_nsec / 1000000000;
	backoff->until.tv_nsec %= 1000000000;
	backoff->active = true;
}

bool backoff_expired(struct backoff *backoff)
{
	struct timespec now;

	if (!backoff->active)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec < backoff->until.tv_sec ||
	    (now.tv_sec == backoff->until.tv_sec && now.tv_nsec < backoff->until.tv_nsec))
		return false;
	backoff->active = false;
	return true;
}
