/*
 * pass.h - bounds what one pass does, so that nobody waits long for the next.
 *
 * Reading, with accepting and removing, may take as long as READ_US, and writing what is queued as
 * long as WRITE_US. What was read is delivered in one go, which cannot stop in the middle; so
 * reading also ends with as many bytes as can be delivered in that time, by the passes before.
 */

#ifndef PASS_H
#define PASS_H

#include <stdbool.h>
#include <stdint.h>

/* LAST_WRITE_US is for what is queued when the server ends. */
enum { READ_US = 10000, WRITE_US = 10000, LAST_WRITE_US = 200000 };

struct pass {
	int64_t began_at, ends_at;
	uint64_t capacity; /* the most to deliver, in bytes to all recipients together */
};

void pass_init(struct pass *pass);

/* Begins a part of a pass that may take so many microseconds. */
void pass_begin(struct pass *pass, int64_t duration);

/* Whether that time is over. */
bool pass_is_over(const struct pass *pass);

/* Ends reading and delivering, and adapts the capacity. */
void pass_delivered(struct pass *pass, uint64_t bytes);

#endif /* PASS_H */
