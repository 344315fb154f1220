/* A program that takes connections out of a corked pool by itself: the others hear everything. */

#include <malloc.h>

#include "chatServerExt.h"
#include "room.h"

enum { COUNT = 3 };

static conn_pool_t pool;

/* Takes the connection out and frees it. What is in its block then leads nowhere. */
static void take_out(struct client client)
{
	conn_t *conn = conn_of(client.sd, &pool);

	unlink_conn(conn, &pool);
	pool.nr_conns--;
	FD_CLR(client.sd, &pool.read_set);
	FD_CLR(client.sd, &pool.write_set);
	while (conn->write_msg_head != NULL)
		free_msg(pop(conn));
	memset(conn, 0xAA, malloc_usable_size(conn));
	free(conn);
	close(client.sd);
	close(client.peer);
}

/* Opens a corked room, says something, and takes one client out. The others are the first clients
 * then. */
static void open_corked_room_without(int victim, struct client clients[COUNT])
{
	open_room(clients, COUNT, &pool);
	CHECK_EQ(chat_cork(&pool), 0);
	say_text(OUTSIDER, "news ", &pool);
	take_out(clients[victim]);
	memmove(clients + victim, clients + victim + 1,
	        (size_t)(COUNT - 1 - victim) * sizeof clients[0]);
}

/* Uncorks the pool, and checks that everyone hears this, and messages that follow. */
static void check_hear(struct client clients[], const char *text)
{
	int at;

	CHECK_EQ(chat_uncork(&pool), 0);
	for (at = 0; at < COUNT - 1; at++)
		check_receives(clients[at].peer, text, strlen(text));
	check_in_touch(clients, COUNT - 1, &pool);
	check_sound(&pool);
}

TEST(who_is_left_hears_the_batch)
{
	struct client clients[COUNT];
	int victim;

	for (victim = 0; victim < COUNT; victim++) {
		open_corked_room_without(victim, clients);
		check_hear(clients, "news ");
		leave_all(clients, COUNT - 1, &pool);
	}
}

TEST(the_pool_stays_corked)
{
	struct client clients[COUNT];
	int victim;

	for (victim = 0; victim < COUNT; victim++) {
		open_corked_room_without(victim, clients);
		CHECK_EQ(chat_cork(&pool), 0);
		say_text(OUTSIDER, "and more", &pool);
		CHECK(!is_readable(clients[0].peer));
		CHECK_EQ(queued(clients[0].sd, &pool), 0);
		check_hear(clients, "news and more");
		/* The next batch is a new one. */
		CHECK_EQ(chat_cork(&pool), 0);
		say_text(OUTSIDER, "again", &pool);
		check_hear(clients, "again");
		leave_all(clients, COUNT - 1, &pool);
	}
}

TEST(who_joins_then_hears_what_is_said_after)
{
	struct client clients[COUNT], late;

	open_corked_room_without(0, clients);
	late = join(&pool);
	say_text(OUTSIDER, "and more", &pool);
	CHECK_EQ(chat_uncork(&pool), 0);
	check_receives(late.peer, "and more", 8);
	check_receives(clients[0].peer, "news and more", 13);
	leave(late, &pool);
	leave_all(clients, COUNT - 1, &pool);
}

TEST(one_after_the_other_may_be_taken_out_until_one_is_left)
{
	struct client clients[COUNT], late;

	open_corked_room_without(0, clients);
	take_out(clients[0]);
	late = join(&pool);
	take_out(clients[1]);
	say_text(OUTSIDER, "hello", &pool);
	CHECK_EQ(chat_uncork(&pool), 0);
	check_receives(late.peer, "hello", 5);
	leave(late, &pool);
}

/* Nothing is lost of the batch's memory, which valgrind and the torture watch. */
TEST(a_corked_pool_emptied_by_remove_conn_owns_nothing)
{
	struct client clients[COUNT];
	int victim;

	for (victim = 0; victim < COUNT; victim++) {
		open_corked_room_without(victim, clients);
		leave_all(clients, COUNT - 1, &pool);
		CHECK_EQ(chat_uncork(&pool), 0);
	}
}
