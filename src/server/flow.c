/* flow.c - see flow.h. */

#define _GNU_SOURCE /* CLOCK_MONOTONIC_COARSE */

#include "flow.h"

#include <time.h>

#include "fdset_next.h"

/* Somebody who only chats does not send this much while others are behind. */
enum { HEAVY_SENDER = 64 * 1024 };

/* At most this much is sent before senders are held: a few milliseconds' worth. */
enum { MAX_BACKLOG = 256 * 1024 };

/* With a queue limit above HUGE_QUEUE, or none, half of it would be too much to send to a reader
 * that has stalled. */
enum { HUGE_QUEUE = 1024 * 1024 * 1024, HUGE_QUEUE_ALLOWANCE = 4 * 1024 * 1024 };

static int64_t now_in_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void flow_set_limit(struct flow *flow, size_t max_queue)
{
	bool is_huge = max_queue == 0 || max_queue > HUGE_QUEUE;

	flow->backlog_limit = is_huge || max_queue / 4 > MAX_BACKLOG ? MAX_BACKLOG : max_queue / 4;
	flow->stall_allowance = is_huge ? HUGE_QUEUE_ALLOWANCE : max_queue / 2;
}

void flow_join(struct flow *flow, int sd)
{
	flow->clients[sd] = (struct flow_client){ .bytes = 0 };
	FD_CLR(sd, &flow->heavy_senders);
	FD_CLR(sd, &flow->behind);
}

void flow_received(struct flow *flow, int sd, size_t length)
{
	struct flow_client *client = &flow->clients[sd];

	flow->bytes += length;
	if (client->period != flow->period) {
		client->period = flow->period;
		client->bytes = 0;
	}
	client->bytes += length;
	if (client->bytes >= HEAVY_SENDER)
		FD_SET(sd, &flow->heavy_senders);
}

/* Whether heavy senders have to wait for this reader, which is behind. */
static bool needs_throttling(const struct flow *flow, struct flow_client *reader, int64_t now)
{
	uint64_t backlog = flow->bytes - reader->behind_from;
	int64_t stalled = now - reader->progress_at;

	if (backlog < flow->backlog_limit)
		return false;
	if (reader->throttling_since == 0)
		reader->throttling_since = now;
	if (stalled >= STALL_MS || now - reader->throttling_since >= MAX_WAIT_MS)
		return false;
	return backlog - flow->backlog_limit >=
	       flow->stall_allowance * (uint64_t)stalled / STALL_MS;
}

/* Notes that a reader fell behind in this pass, or took something before it. */
static void note_progress(struct flow *flow, int sd, const fd_set *writable, int64_t now)
{
	struct flow_client *reader = &flow->clients[sd];

	if (!FD_ISSET(sd, &flow->behind)) {
		reader->behind_from = flow->bytes;
		reader->throttling_since = 0;
		reader->progress_at = now;
	} else if (FD_ISSET(sd, writable)) {
		reader->progress_at = now;
	}
}

void flow_update(struct flow *flow, const fd_set *behind, const fd_set *writable)
{
	int sd = fdset_next(behind, 0);
	int64_t now;

	flow->throttling = false;
	if (sd == FD_SETSIZE) {
		flow->period++;
		FD_ZERO(&flow->heavy_senders);
	} else {
		for (now = now_in_ms(); sd < FD_SETSIZE; sd = fdset_next(behind, sd + 1)) {
			note_progress(flow, sd, writable, now);
			if (needs_throttling(flow, &flow->clients[sd], now))
				flow->throttling = true;
		}
	}
	flow->behind = *behind;
}

bool flow_throttle(const struct flow *flow, fd_set *readable)
{
	const fd_set *heavy = &flow->heavy_senders;
	int sd;

	if (!flow->throttling)
		return false;
	for (sd = fdset_next(heavy, 0); sd < FD_SETSIZE; sd = fdset_next(heavy, sd + 1))
		FD_CLR(sd, readable);
	return true;
}
