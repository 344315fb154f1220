/*
 * lists.h - a pool's lists as C sees them: who is there, whether all links are sound, and a
 * picture to compare with later.
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

/* Both links of every list lead where they should, and nr_conns is right. */
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

/* A pool as it was: every field, every address in the lists, and every byte that waits, as two
 * numbers that differ when any of it does. */
struct picture {
	uint64_t room;   /* who is there, and all fields but write_set */
	uint64_t queues; /* write_set, and what waits */
};

/* Mixes the bytes into the number (FNV-1a). */
static inline void paint(uint64_t *number, const void *bytes, size_t size)
{
	const unsigned char *byte = bytes;

	while (size-- > 0)
		*number = (*number ^ *byte++) * 0x100000001b3u;
}

/* Of a long message both ends will do: nobody changes its middle alone. */
static inline void paint_message(uint64_t *number, const msg_t *msg)
{
	const void *ways[] = { msg, msg->prev, msg->next, msg->message };
	const size_t size = (size_t)msg->size, end = size < 2048 ? size : 2048;

	paint(number, ways, sizeof ways);
	paint(number, &msg->size, sizeof msg->size);
	paint(number, msg->message, end);
	paint(number, msg->message + size - end, end);
}

static inline struct picture picture_of(const conn_pool_t *pool)
{
	struct picture picture = { 0xcbf29ce484222325u, 0xcbf29ce484222325u };
	conn_pool_t fields;
	const conn_t *conn;
	const msg_t *msg;

	memcpy(&fields, pool, sizeof fields);
	memset(&fields.write_set, 0, sizeof fields.write_set);
	paint(&picture.room, &fields, sizeof fields);
	paint(&picture.queues, &pool->write_set, sizeof pool->write_set);
	for (conn = pool->conn_head; conn != NULL; conn = conn->next) {
		const void *links[] = { conn, conn->prev, conn->next };
		const void *ends[] = { conn->write_msg_head, conn->write_msg_tail };

		paint(&picture.room, links, sizeof links);
		paint(&picture.room, &conn->fd, sizeof conn->fd);
		paint(&picture.queues, ends, sizeof ends);
		for (msg = conn->write_msg_head; msg != NULL; msg = msg->next)
			paint_message(&picture.queues, msg);
	}
	return picture;
}

/* Whether the same are there, and all fields but write_set are the same. */
static inline bool has_same_room(const struct picture *before, const conn_pool_t *pool)
{
	return picture_of(pool).room == before->room;
}

static inline bool is_as_in(const struct picture *before, const conn_pool_t *pool)
{
	struct picture now = picture_of(pool);

	return now.room == before->room && now.queues == before->queues;
}

#endif /* LISTS_H */
