/*
 * pass.h - bounds what one pass does, so that nobody waits long for the next.
 *
 * Reading, with accepting and removing, may take as long as READ_US, and writing what is queued as
 * long as WRITE_US. What was read is delivered in one go, which cannot stop in the middle; so
 * reading also ends with as many bytes as the passes before could deliver in such a time.
 */

#ifndef PASS_H
#define PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* LAST_WRITE_US is for what is queued when the server ends. */
enum { READ_US = 10000, WRITE_US = 10000, LAST_WRITE_US = 200000 };

struct pass {
	int64_t ends_at;
	int64_t cpu_before;
	size_t read_limit; /* in bytes */
};

/* Begins a part of a pass that may take so many microseconds. */
void pass_begin(struct pass *pass, int64_t duration);

/* Whether that time is over. */
bool pass_is_over(const struct pass *pass);

/* Returns how many bytes may be read from clients, of which there are so many. */
size_t pass_read_limit(const struct pass *pass, unsigned int clients);

/* Call it when so many bytes have been read and delivered. */
void pass_delivered(struct pass *pass, size_t bytes);

#endif /* PASS_H */
