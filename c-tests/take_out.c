/* A program that takes one connection out of the list and frees it by itself, and goes on. */

#include "room.h"

enum { COUNT = 5 };

/* What a program also does when it takes out a connection. */
struct manners {
	bool counts, clears;
};

static const struct manners all_manners[] = {
	{ .counts = true, .clears = true },
	{ .counts = true, .clears = false },
	{ .counts = false, .clears = true },
};
enum { MANNERS = sizeof all_manners / sizeof all_manners[0] };

/* Takes the conn out of the list, frees it, and closes its descriptor. */
static void take_out(conn_t *conn, struct manners manners, conn_pool_t *pool)
{
	unlink_conn(conn, pool);
	if (manners.counts)
		pool->nr_conns--;
	if (manners.clears) {
		FD_CLR(conn->fd, &pool->read_set);
		FD_CLR(conn->fd, &pool->write_set);
	}
	close(conn->fd);
	free_conn(conn);
}

/* check_sound for a pool in which nr_conns counts so many that are gone. */
static void check_sound_but(unsigned int uncounted, const conn_pool_t *pool)
{
	conn_pool_t counted = *pool;

	counted.nr_conns -= uncounted;
	check_sound(&counted);
}

/* Opens a room and takes out client number `victim`; the others are the first clients then. Returns
 * the victim's descriptor number. */
static int open_room_without(int victim, struct manners manners, struct client clients[COUNT],
                             conn_pool_t *pool)
{
	struct client gone;

	open_room(clients, COUNT, pool);
	check_in_touch(clients, COUNT, pool);
	gone = clients[victim];
	CHECK_EQ(add_msg(OUTSIDER, "old", 3, pool), 0);
	take_out(conn_of(gone.sd, pool), manners, pool);
	close(gone.peer);
	memmove(clients + victim, clients + victim + 1,
	        (size_t)(COUNT - 1 - victim) * sizeof clients[0]);
	return gone.sd;
}

/* Checks that the clients receive what was queued before the victim left, and what comes later. */
static void check_others(struct client clients[], conn_pool_t *pool)
{
	int at;

	for (at = 0; at < COUNT - 1; at++) {
		CHECK_EQ(write_msg(clients[at].sd, pool), 0);
		check_receives(clients[at].peer, "old", 3);
	}
	check_in_touch(clients, COUNT - 1, pool);
}

/* The first call after a connection was taken out. */
static void others_come_first(int victim, struct manners manners)
{
	struct client clients[COUNT];
	conn_pool_t pool;
	int sd = open_room_without(victim, manners, clients, &pool);

	check_others(clients, &pool);
	CHECK_FAILS(write_msg(sd, &pool), ENOENT);
	CHECK_FAILS(remove_conn(sd, &pool), ENOENT);
	check_sound_but(!manners.counts, &pool);
	leave_all(clients, COUNT - 1, &pool);
	CHECK_EQ(pool.nr_conns, !manners.counts);
}

static void the_number_comes_first(int victim, struct manners manners)
{
	struct client clients[COUNT];
	conn_pool_t pool;
	int sd = open_room_without(victim, manners, clients, &pool);

	CHECK_FAILS(write_msg(sd, &pool), ENOENT);
	CHECK_FAILS(remove_conn(sd, &pool), ENOENT);
	check_others(clients, &pool);
	leave_all(clients, COUNT - 1, &pool);
}

static void a_newcomer_with_the_number_comes_first(int victim, struct manners manners)
{
	struct client clients[COUNT];
	conn_pool_t pool;
	int sd = open_room_without(victim, manners, clients, &pool);

	clients[COUNT - 1] = join(&pool);
	CHECK_EQ(clients[COUNT - 1].sd, sd);
	CHECK_FAILS(add_conn(sd, &pool), EEXIST);
	check_others(clients, &pool);
	check_sound_but(!manners.counts, &pool);
	CHECK_EQ(pool.nr_conns, COUNT + !manners.counts);
	CHECK_EQ(write_msg(sd, &pool), 0);
	check_receives(clients[COUNT - 1].peer, "hello", 5);
	leave_all(clients, COUNT, &pool);
}

/* The program puts the newcomer into read_set itself. */
static void the_set_comes_first(int victim, struct manners manners)
{
	struct client clients[COUNT];
	conn_pool_t pool;
	int sd = open_room_without(victim, manners, clients, &pool);

	clients[COUNT - 1] = connect_client();
	CHECK_EQ(clients[COUNT - 1].sd, sd);
	FD_SET(sd, &pool.read_set);
	CHECK_EQ(add_conn(sd, &pool), 0);
	check_others(clients, &pool);
	leave_all(clients, COUNT, &pool);
}

static void a_removal_comes_first(int victim, struct manners manners)
{
	struct client clients[COUNT];
	conn_pool_t pool;
	int sd = open_room_without(victim, manners, clients, &pool);

	/* The victim's neighbour leaves. */
	struct client neighbour = clients[victim < COUNT - 1 ? victim : victim - 1];

	CHECK_EQ(remove_conn(neighbour.sd, &pool), 0);
	check_sound_but(!manners.counts, &pool);
	CHECK_FAILS(remove_conn(sd, &pool), ENOENT);
	close(neighbour.peer);
	while (pool.conn_head != NULL)
		CHECK_EQ(remove_conn(pool.conn_head->fd, &pool), 0);
	clients[victim < COUNT - 1 ? victim : victim - 1] = clients[COUNT - 2];
	for (sd = 0; sd < COUNT - 2; sd++)
		close(clients[sd].peer);
}

typedef void sequel(int victim, struct manners manners);

static void for_every_victim(sequel *sequel)
{
	int victim, at;

	for (victim = 0; victim < COUNT; victim++)
		for (at = 0; at < MANNERS; at++)
			sequel(victim, all_manners[at]);
}

TEST(a_program_may_take_out_a_connection_and_the_others_go_on)
{
	for_every_victim(others_come_first);
}

TEST(a_connection_that_the_program_took_out_is_not_found)
{
	for_every_victim(the_number_comes_first);
}

TEST(the_number_of_a_connection_that_the_program_took_out_may_join_again)
{
	for_every_victim(a_newcomer_with_the_number_comes_first);
}

TEST(a_newcomer_may_be_in_read_set_before_it_joins)
{
	for_every_victim(the_set_comes_first);
}

TEST(the_neighbour_of_a_connection_that_the_program_took_out_may_leave)
{
	for_every_victim(a_removal_comes_first);
}

TEST(a_program_may_take_out_all_connections_one_by_one)
{
	int at;

	for (at = 0; at < MANNERS; at++) {
		struct client clients[COUNT];
		conn_pool_t pool;
		int number;

		open_room(clients, COUNT, &pool);
		for (number = 0; number < COUNT; number++) {
			check_in_touch(clients + number, COUNT - number, &pool);
			take_out(conn_of(clients[number].sd, &pool), all_manners[at], &pool);
			close(clients[number].peer);
		}
		CHECK(pool.conn_head == NULL);
		clients[0] = join(&pool);
		check_in_touch(clients, 1, &pool);
		leave(clients[0], &pool);
	}
}
