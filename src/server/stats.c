/* stats.c - see stats.h. */

#define _GNU_SOURCE /* clock_gettime */

#include "stats.h"

#include <inttypes.h>

#include "../common/clock.h"
#include "../common/line_ends.h"
#include "../common/log.h"
#include "chatServerExt.h"

void stats_received(struct stats *stats, const char *text, size_t length, unsigned int recipients)
{
	uint64_t messages = count_line_ends(text, length);

	stats->messages_in += messages;
	stats->messages_out += messages * recipients;
}

void stats_departed(struct stats *stats, int sd, conn_pool_t *pool)
{
	chat_conn_info_t info;

	if (chat_get_info(sd, pool, &info) == 0)
		stats->sent_to_departed += info.sent_bytes;
}

void stats_log(const struct stats *stats, conn_pool_t *pool, unsigned int clients)
{
	uint64_t bytes_out = stats->sent_to_departed, queued = 0;
	const conn_t *conn;

	for (conn = pool->conn_head; conn != NULL; conn = conn->next) {
		chat_conn_info_t info;

		if (chat_get_info(conn->fd, pool, &info) == 0) {
			bytes_out += info.sent_bytes;
			queued += info.queued_bytes;
		}
	}
	log_text(LOG_INFO,
	         "stats: clients=%u messages_in=%" PRIu64 " bytes_in=%" PRIu64
	         " messages_out=%" PRIu64 " bytes_out=%" PRIu64 " queued_bytes=%" PRIu64
	         " cut_off=%" PRIu64 " refused=%" PRIu64 " dropped_lines=%" PRIu64 " uptime_s=%jd",
	         clients, stats->messages_in, stats->bytes_in, stats->messages_out, bytes_out,
	         queued, stats->cut_off, stats->refused, log_dropped(),
	         (intmax_t)(now_us() - stats->started_at) / 1000000);
}
