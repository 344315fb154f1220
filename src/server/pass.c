/* pass.c - see pass.h. */

#define _GNU_SOURCE /* clock_gettime */

#include "pass.h"

#include "clock.h"

/* The capacity is at most ten full reads, each to a thousand clients: more in one system call saves
 * nothing more. A build that copies every message for every recipient sets it lower. */
#ifndef BYTES_A_PASS
#define BYTES_A_PASS (10 * 16384 * 1000)
#endif

/* What any machine delivers in READ_US. */
enum { LOWEST_CAPACITY = 1024 * 1024 };

void pass_init(struct pass *pass)
{
	pass->capacity = 16 * LOWEST_CAPACITY;
}

void pass_begin(struct pass *pass, int64_t duration)
{
	pass->began_at = now_us();
	pass->ends_at = pass->began_at + duration;
}

bool pass_is_over(const struct pass *pass)
{
	return now_us() >= pass->ends_at;
}

void pass_delivered(struct pass *pass, uint64_t bytes)
{
	uint64_t took = (uint64_t)(now_us() - pass->began_at) + 1;

	if (took > 2 * READ_US)
		pass->capacity = pass->capacity * READ_US / took;
	else if (took < READ_US && bytes >= pass->capacity)
		pass->capacity *= 2;
	if (pass->capacity < LOWEST_CAPACITY)
		pass->capacity = LOWEST_CAPACITY;
	if (pass->capacity > BYTES_A_PASS)
		pass->capacity = BYTES_A_PASS;
}
