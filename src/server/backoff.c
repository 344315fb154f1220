/* backoff.c - see backoff.h. */

#define _GNU_SOURCE /* clock_gettime */

#include "backoff.h"

void rest_begin(struct rest *rest)
{
	clock_gettime(CLOCK_MONOTONIC, &rest->until);
	rest->until.tv_nsec += REST_MS * 1000000L;
	rest->until.tv_sec += rest->until.tv_nsec / 1000000000;
	rest->until.tv_nsec %= 1000000000;
	rest->on = true;
}

bool rest_end_in_time(struct rest *rest)
{
	struct timespec now;

	if (!rest->on)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec < rest->until.tv_sec ||
	    (now.tv_sec == rest->until.tv_sec && now.tv_nsec < rest->until.tv_nsec))
		return false;
	rest->on = false;
	return true;
}
