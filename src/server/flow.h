/*
 * flow.h - backpressure: heavy senders wait for slow readers.
 *
 * A reader is behind while data is queued for it. Once backlog_limit bytes have come in since it
 * fell behind, it holds heavy senders: the server reads them slowly, so that TCP slows them down,
 * and accepts newcomers one at a time. Each reader has a budget of three seconds for this, which
 * refills within 90 seconds; a reader that takes CATCH_UP bytes a second uses up none of it. A
 * newcomer begins with the smallest budget that any reader has left. The further a reader is
 * behind, the fewer bytes a client may have sent lately to be read all the same.
 *
 * Without this, a sender at full speed would have every reader cut off that is a little slower.
 */

#ifndef FLOW_H
#define FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/select.h>

/* How long select() waits at most while senders are held. */
enum { RECHECK_MS = 10 };

struct flow_client {
	int64_t forgotten_at;   /* when what it has sent counts no more */
	int64_t light_at;       /* when it may count as a light sender again */
	int64_t budget_full_at; /* when its budget is full again */
	uint64_t behind_from;   /* flow.bytes when it last fell behind */
	uint64_t holds_from;    /* flow.bytes above which it holds senders */
	int64_t idle_from;      /* when it last fell behind, and later by the time it has held */
	bool is_holding;
};

struct flow {
	size_t backlog_limit;  /* bytes that may come in before a reader holds senders */
	size_t allowance;      /* bytes more while it uses up its budget */
	size_t most_backlog;   /* with more than this, nobody at all is read */
	uint64_t bytes;        /* relayed since the start */
	uint64_t bytes_before; /* the same at the last update */
	int64_t updated_at;
	int64_t most_sent;   /* clients that have sent more lately are held; INT64_MAX: none */
	bool somebody_waits; /* for a reader, since the last pass */
	fd_set behind;       /* after the last pass */
	struct flow_client clients[FD_SETSIZE];
};

/* Derives the thresholds from the queue limit, so that throttling starts before anyone is cut off.
 * 0 is no limit. */
void flow_init(struct flow *flow, size_t max_queue);

/* Forgets the client that had this descriptor before, but for its budget. */
void flow_join(struct flow *flow, int sd);

/* Counts what a client has sent. What is relayed of it, the caller adds to `bytes`. */
void flow_received(struct flow *flow, int sd, size_t length);

/* Whether a client has sent so little lately that it is read before the others. */
bool flow_is_light(const struct flow *flow, int sd);

/* Decides whom to hold. Call it after each pass. behind: descriptors with queued data. */
void flow_update(struct flow *flow, const fd_set *behind);

/* Whether newcomers have to wait as well: no sender is to start afresh by connecting again. */
bool flow_holds_newcomers(struct flow *flow);

/* Takes senders who are held out of the set. Returns whether there are any. */
bool flow_throttle(struct flow *flow, fd_set *readable);

#endif /* FLOW_H */
