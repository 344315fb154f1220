/* Programs that walk the list in either direction and remove connections meanwhile. */

#include "room.h"

/* Enough clients for every case of being neighbours or not. */
enum { COUNT = 5 };

/* A room in which every client has a message queued. */
static void open_busy_room(struct client clients[COUNT], conn_pool_t *pool)
{
	open_room(clients, COUNT, pool);
	CHECK_EQ(add_msg(0, "hello", 5, pool), 0);
	CHECK_EQ(add_msg(0, "again", 5, pool), 0);
}

static void close_room(struct client clients[COUNT], conn_pool_t *pool)
{
	int at;

	while (pool->conn_head != NULL)
		CHECK_EQ(remove_conn(pool->conn_head->fd, pool), 0);
	for (at = 0; at < COUNT; at++)
		close(clients[at].peer);
}

/* Removes the conn and checks that only its neighbours' links change. */
static void remove_checked(conn_t *conn, conn_pool_t *pool)
{
	conn_t *prev = conn->prev, *next = conn->next, *other;
	unsigned int before = pool->nr_conns, at = 0;
	conn_t *others[COUNT], public[COUNT];

	for (other = pool->conn_head; other != NULL; other = other->next) {
		if (other != conn) {
			others[at] = other;
			public[at++] = *other;
		}
	}
	CHECK_EQ(remove_conn(conn->fd, pool), 0);
	CHECK_EQ(pool->nr_conns, before - 1);
	check_sound(pool);
	while (at-- > 0) {
		CHECK(others[at]->next == (others[at] == prev ? next : public[at].next));
		CHECK(others[at]->prev == (others[at] == next ? prev : public[at].prev));
		CHECK_EQ(others[at]->fd, public[at].fd);
		CHECK(others[at]->write_msg_head == public[at].write_msg_head);
		CHECK(others[at]->write_msg_tail == public[at].write_msg_tail);
		CHECK_EQ(queued(others[at]->fd, pool), 2);
	}
}

/* A direction along the list. */
typedef conn_t *step(const conn_t *conn);

static conn_t *forth(const conn_t *conn)
{
	return conn->next;
}

static conn_t *back(const conn_t *conn)
{
	return conn->prev;
}

static conn_t *end_of_list(conn_t *conn)
{
	while (conn != NULL && conn->next != NULL)
		conn = conn->next;
	return conn;
}

/* Walks the list, and at client number `at` removes client number `victim`. The next client is read
 * before, unless it is the victim. The walk must meet all others once, in order. */
static void check_walk(step *step, int at, int victim)
{
	struct client clients[COUNT];
	bool backwards = step == back;
	conn_t *conn, *following;
	conn_pool_t pool;
	int number;

	open_busy_room(clients, &pool);
	conn = backwards ? end_of_list(pool.conn_head) : pool.conn_head;
	number = backwards ? COUNT - 1 : 0;
	while (conn != NULL) {
		CHECK_EQ(conn->fd, clients[number].sd);
		following = step(conn);
		if (number == at) {
			conn_t *doomed = conn_of(clients[victim].sd, &pool);

			if (doomed == following)
				following = step(doomed);
			remove_checked(doomed, &pool);
		}
		conn = following;
		do
			number += backwards ? -1 : 1;
		while (number == victim && (backwards ? victim < at : victim > at));
	}
	CHECK_EQ(number, backwards ? -1 : COUNT);
	CHECK_EQ(pool.nr_conns, COUNT - 1);
	close_room(clients, &pool);
}

TEST(a_walk_survives_the_removal_of_anyone_at_any_point)
{
	int at, victim;

	for (at = 0; at < COUNT; at++) {
		for (victim = 0; victim < COUNT; victim++) {
			check_walk(forth, at, victim);
			check_walk(back, at, victim);
		}
	}
}

TEST(a_walk_may_remove_everybody_it_meets)
{
	struct client clients[COUNT];
	conn_t *conn, *following;
	conn_pool_t pool;

	open_busy_room(clients, &pool);
	for (conn = pool.conn_head; conn != NULL; conn = following) {
		following = conn->next;
		remove_checked(conn, &pool);
	}
	CHECK(pool.conn_head == NULL);
	close_room(clients, &pool);

	open_busy_room(clients, &pool);
	for (conn = end_of_list(pool.conn_head); conn != NULL; conn = following) {
		following = conn->prev;
		remove_checked(conn, &pool);
	}
	CHECK(pool.conn_head == NULL);
	close_room(clients, &pool);
}

TEST(every_pair_may_leave_in_either_order)
{
	int first, second;

	for (first = 0; first < COUNT; first++) {
		for (second = 0; second < COUNT; second++) {
			struct client clients[COUNT];
			conn_pool_t pool;

			if (second == first)
				continue;
			open_busy_room(clients, &pool);
			remove_checked(conn_of(clients[first].sd, &pool), &pool);
			remove_checked(conn_of(clients[second].sd, &pool), &pool);
			close_room(clients, &pool);
		}
	}
}

TEST(any_one_connection_may_remove_all_others_while_walking)
{
	int stays;

	for (stays = 0; stays < COUNT; stays++) {
		struct client clients[COUNT];
		conn_t *conn, *following;
		conn_pool_t pool;

		open_busy_room(clients, &pool);
		for (conn = pool.conn_head; conn != NULL; conn = following) {
			following = conn->next;
			if (conn->fd != clients[stays].sd)
				remove_checked(conn, &pool);
		}
		CHECK_EQ(pool.nr_conns, 1);
		CHECK_EQ(pool.conn_head->fd, clients[stays].sd);
		close_room(clients, &pool);
	}
}
