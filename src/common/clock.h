/* clock.h - the monotonic clock. */

#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>
#include <time.h>

/* The time of a clock in microseconds. */
static inline int64_t clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static inline int64_t now_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

#endif /* CLOCK_H */
