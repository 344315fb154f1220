/*
 * flow.h - backpressure: heavy senders wait for slow readers.
 *
 * A reader is behind while data is queued for it. Once backlog_limit bytes were sent to the room
 * since it fell behind, senders of HEAVY_SENDER bytes or more in this period are not read, so TCP
 * slows them down. A reader that takes nothing for STALL_MS stops counting; until then the heavy
 * senders may send half its queue limit more, a little at a time. No reader holds them for longer
 * than MAX_WAIT_MS. When nobody is behind, a new period begins.
 *
 * Without this, a sender at full speed would have every reader cut off that is a little slower.
 */

#ifndef FLOW_H
#define FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/select.h>

/* STALL_MS: a reader that is only busy elsewhere takes something again sooner than that.
 * MAX_WAIT_MS: at the usual queue limit, a reader that needs longer reads less than 2 MiB a second.
 * RECHECK_MS: how long select() waits at most while senders are held. */
enum { STALL_MS = 250, MAX_WAIT_MS = 2000, RECHECK_MS = 10 };

struct flow_client {
	unsigned long period;     /* the period that `bytes` belongs to */
	size_t bytes;             /* received from this client in that period */
	uint64_t behind_from;     /* flow.bytes when this client fell behind */
	int64_t progress_at;      /* when it last took something, in milliseconds */
	int64_t throttling_since; /* when senders were first held for it, or 0 */
};

struct flow {
	size_t backlog_limit;   /* bytes sent to a reader that is behind before senders are held */
	size_t stall_allowance; /* bytes more by the end of STALL_MS in which it takes nothing */
	uint64_t bytes;         /* received from all clients since the start */
	unsigned long period;
	bool throttling;
	fd_set heavy_senders; /* in this period */
	fd_set behind;        /* after the last pass */
	struct flow_client clients[FD_SETSIZE];
};

/* Derives the thresholds from the queue limit, so that throttling starts before anyone is cut off.
 * 0 is no limit. */
void flow_set_limit(struct flow *flow, size_t max_queue);

/* Forgets the client that had this descriptor before. */
void flow_join(struct flow *flow, int sd);

/* Counts what a client has sent. */
void flow_received(struct flow *flow, int sd, size_t length);

/* Decides whether to throttle. Call it after each pass. behind: descriptors with queued data;
 * writable: those that select() reported. */
void flow_update(struct flow *flow, const fd_set *behind, const fd_set *writable);

/* While throttling, takes the heavy senders out of the set. Returns whether it does. */
bool flow_throttle(const struct flow *flow, fd_set *readable);

#endif /* FLOW_H */
