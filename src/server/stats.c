/* stats.c - see stats.h. */

#define _GNU_SOURCE /* clock_gettime */

#include "stats.h"

#include <inttypes.h>
#include <stdio.h>

#include "chatServerExt.h"
#include "log.h"

static time_t now_in_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

void stats_start(struct stats *stats)
{
	stats->started_at = now_in_s();
}

/* Counts block by block, which compilers turn into vector instructions. With short lines that is
 * several times as fast as a memchr() for each of them. */
static uint64_t count_line_ends(const char *text, size_t length)
{
	enum { BLOCK = 32 };
	const char *end = text + length;
	uint64_t count = 0;
	int at;

	for (; end - text >= BLOCK; text += BLOCK) {
		unsigned char found = 0;

		for (at = 0; at < BLOCK; at++)
			found = (unsigned char)(found + (text[at] == '\n'));
		count += found;
	}
	for (; text < end; text++)
		count += *text == '\n';
	return count;
}

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

void stats_log(const struct stats *stats, conn_pool_t *pool, unsigned int clients,
               uint64_t bytes_in)
{
	uint64_t bytes_out = stats->sent_to_departed, queued = 0;
	const conn_t *conn;
	char text[400];

	for (conn = pool->conn_head; conn != NULL; conn = conn->next) {
		chat_conn_info_t info;

		if (chat_get_info(conn->fd, pool, &info) == 0) {
			bytes_out += info.sent_bytes;
			queued += info.queued_bytes;
		}
	}
	snprintf(text, sizeof text,
	         "clients=%u messages_in=%" PRIu64 " bytes_in=%" PRIu64 " messages_out=%" PRIu64
	         " bytes_out=%" PRIu64 " queued_bytes=%" PRIu64 " cut_off=%" PRIu64
	         " refused=%" PRIu64 " uptime_s=%jd",
	         clients, stats->messages_in, bytes_in, stats->messages_out, bytes_out, queued,
	         stats->cut_off, stats->refused, (intmax_t)(now_in_s() - stats->started_at));
	log_line(LOG_INFO, NULL, 0, "stats", text);
}
