/* backoff.c - see backoff.h. */

#define _GNU_SOURCE /* clock_gettime */

#include "backoff.h"

#include "clock.h"

void backoff_start(struct backoff *backoff)
{
	backoff->ends_at = now_us() + BACKOFF_MS * 1000;
	backoff->active = true;
}

bool backoff_expired(struct backoff *backoff)
{
	if (!backoff->active || now_us() < backoff->ends_at)
		return false;
	backoff->active = false;
	return true;
}
