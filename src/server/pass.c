/* pass.c - see pass.h. */

#define _GNU_SOURCE /* clock_gettime */

#include "pass.h"

#include "../common/clock.h"

/* The most that one pass delivers, in bytes to all recipients together: ten full reads, each to a
 * thousand clients. A build that copies every message for every recipient sets it lower. */
#ifndef BYTES_A_PASS
#define BYTES_A_PASS (10 * 16384 * 1000)
#endif

/* Below this a pass hardly gets shorter, since each send has a fixed cost. */
enum { LEAST = 32 * 1024 };

void pass_begin(struct pass *pass, int64_t duration)
{
	pass->cpu_before = clock_us(CLOCK_PROCESS_CPUTIME_ID);
	pass->ends_at = now_us() + duration;
}

bool pass_is_over(const struct pass *pass)
{
	return now_us() >= pass->ends_at;
}

size_t pass_read_limit(const struct pass *pass, unsigned int clients)
{
	size_t most = pass->read_limit > LEAST ? pass->read_limit : LEAST;

	return most < BYTES_A_PASS / clients ? most : BYTES_A_PASS / clients;
}

void pass_delivered(struct pass *pass, size_t bytes)
{
	/* The clock on the wall would count what other programs do meanwhile. */
	size_t took = (size_t)(clock_us(CLOCK_PROCESS_CPUTIME_ID) - pass->cpu_before);

	if (took > 2 * READ_US)
		pass->read_limit = bytes * READ_US / took;
	else if (took < READ_US && bytes > pass->read_limit / 2)
		pass->read_limit = bytes * 2;
}
