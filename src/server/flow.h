/*
 * flow.h - whoever says much waits for those who are catching up.
 *
 * A sender at full speed is faster than most readers, and would have them cut off for nothing but
 * being a little slower. So while a reader with much behind it is seen to take more, those who
 * have said much are not read from: TCP slows them down then. Who only chats is not kept waiting,
 * and nobody is for long: a reader who takes nothing for CATCH_UP_MS is not waited for until it
 * takes something, and one who is not through after WAIT_MS not until it has caught up. It is cut
 * off at the limit then. While it takes nothing, half of what may be queued for it is said bit by
 * bit, spread over CATCH_UP_MS: so a reader who has stopped for good hardly slows the others down.
 *
 * Waiting also keeps short what stands in front of a chatterer's line while somebody floods.
 */

#ifndef FLOW_H
#define FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/select.h>

/* CATCH_UP_MS: a reader that is busy elsewhere comes back sooner. WAIT_MS: at the limits usual
 * here, a reader that needs longer is slower than 2 MiB a second. PACE_MS: how often to look again
 * while somebody has to wait. */
enum { CATCH_UP_MS = 250, WAIT_MS = 2000, PACE_MS = 10 };

struct flow_client {
	unsigned long period; /* the period that `said` is of */
	size_t said;
	uint64_t behind_from; /* what all had said when it fell behind */
	int64_t took_at;      /* when it last took something, in milliseconds */
	int64_t awaited_from; /* since when it is waited for, or 0 */
};

struct flow {
	size_t most;         /* what may be said to a reader who is behind before anybody waits */
	size_t meanwhile;    /* what may be said on top while it takes nothing for CATCH_UP_MS */
	uint64_t said;       /* by all, in bytes */
	unsigned long period; /* counts the times when everybody had caught up */
	bool waiting;
	fd_set talkers; /* who has said much in this period */
	fd_set behind;  /* who was behind after the last pass */
	struct flow_client clients[FD_SETSIZE];
};

/* Has nobody cut off for want of waiting, where so many bytes may be queued; 0 for any number. */
void flow_set_limit(struct flow *flow, size_t max_queue);

/* Starts anew with a descriptor that somebody else has had. */
void flow_join(struct flow *flow, int sd);

/* Notes what a client has said. */
void flow_heard(struct flow *flow, int sd, size_t length);

/* Looks after a pass at who is behind: `behind`; and who of them took something: `writable`. */
void flow_look(struct flow *flow, const fd_set *behind, const fd_set *writable);

/* Takes out of the set those who have to wait; true when they have to. */
bool flow_hold_back(const struct flow *flow, fd_set *readable);

#endif /* FLOW_H */
