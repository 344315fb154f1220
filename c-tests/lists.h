/*
 * lists.h - a pool's lists as C sees them: lookup, soundness of all links, and snapshots to compare
 * with later.
 */

#ifndef LISTS_H
#define LISTS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "chatServer.h"
#include "claims.h"

static inline conn_t *conn_of(int sd, const conn_pool_t *pool)
{
	conn_t *conn = pool->conn_head;

	while (conn != NULL && conn->fd != sd)
		conn = conn->next;
	return conn;
}

static inline void check_queue_sound(const conn_t *conn)
{
	const msg_t *msg, *before = NULL;

	for (msg = conn->write_msg_head; msg != NULL; before = msg, msg = msg->next) {
		CHECK(msg->prev == before);
		CHECK(msg->message != NULL);
		CHECK(msg->size > 0);
	}
	CHECK(conn->write_msg_head == NULL || conn->write_msg_tail == before);
}

/* Checks both links of every list, and nr_conns. */
static inline void check_sound(const conn_pool_t *pool)
{
	const conn_t *conn, *before = NULL;
	unsigned int count = 0;

	for (conn = pool->conn_head; conn != NULL; before = conn, conn = conn->next) {
		CHECK(conn->prev == before);
		check_queue_sound(conn);
		count++;
	}
	CHECK_EQ(pool->nr_conns, count);
}

/* Hashes of everything in a pool: all fields, all addresses in the lists, all queued bytes. */
struct snapshot {
	uint64_t members; /* the list of connections, and all fields but write_set */
	uint64_t queues;  /* write_set, and the queued messages */
};

/* Adds the bytes to a hash (FNV-1a). */
static inline void hash(uint64_t *number, const void *bytes, size_t size)
{
	const unsigned char *byte = bytes;

	while (size-- > 0)
		*number = (*number ^ *byte++) * 0x100000001b3u;
}

/* For a long message both ends are enough: nothing changes its middle alone. */
static inline void hash_message(uint64_t *number, const msg_t *msg)
{
	const void *ways[] = { msg, msg->prev, msg->next, msg->message };
	const size_t size = (size_t)msg->size, end = size < 2048 ? size : 2048;

	hash(number, ways, sizeof ways);
	hash(number, &msg->size, sizeof msg->size);
	hash(number, msg->message, end);
	hash(number, msg->message + size - end, end);
}

static inline struct snapshot take_snapshot(const conn_pool_t *pool)
{
	struct snapshot snapshot = { 0xcbf29ce484222325u, 0xcbf29ce484222325u };
	conn_pool_t fields;
	const conn_t *conn;
	const msg_t *msg;

	memcpy(&fields, pool, sizeof fields);
	memset(&fields.write_set, 0, sizeof fields.write_set);
	hash(&snapshot.members, &fields, sizeof fields);
	hash(&snapshot.queues, &pool->write_set, sizeof pool->write_set);
	for (conn = pool->conn_head; conn != NULL; conn = conn->next) {
		const void *links[] = { conn, conn->prev, conn->next };
		const void *ends[] = { conn->write_msg_head, conn->write_msg_tail };

		hash(&snapshot.members, links, sizeof links);
		hash(&snapshot.members, &conn->fd, sizeof conn->fd);
		hash(&snapshot.queues, ends, sizeof ends);
		for (msg = conn->write_msg_head; msg != NULL; msg = msg->next)
			hash_message(&snapshot.queues, msg);
	}
	return snapshot;
}

/* Whether all but write_set and the queues is as before. */
static inline bool has_same_members(const struct snapshot *before, const conn_pool_t *pool)
{
	return take_snapshot(pool).members == before->members;
}

static inline bool is_unchanged(const struct snapshot *before, const conn_pool_t *pool)
{
	struct snapshot now = take_snapshot(pool);

	return now.members == before->members && now.queues == before->queues;
}

#endif /* LISTS_H */
