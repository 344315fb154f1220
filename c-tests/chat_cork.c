/* chat_cork and chat_uncork: messages are collected in one batch and sent together. */

#include <malloc.h>

#include "chatServerExt.h"
#include "room.h"

enum { BOUND = 4 << 20 };

static conn_pool_t pool;

static void say(struct client speaker, const char *text)
{
	char copy[64];

	strcpy(copy, text);
	CHECK_EQ(add_msg(speaker.sd, copy, (int)strlen(copy), &pool), 0);
}

TEST(nothing_is_queued_until_the_pool_is_uncorked)
{
	struct client clients[3];

	open_room(clients, 3, &pool);
	CHECK_EQ(chat_cork(&pool), 0);
	say(clients[0], "one ");
	say(clients[1], "two ");
	CHECK_EQ(queued(clients[2].sd, &pool), 0);
	CHECK(!is_readable(clients[2].peer));
	CHECK_EQ(chat_uncork(&pool), 0);
	check_receives(clients[0].peer, "two ", 4);
	check_receives(clients[1].peer, "one ", 4);
	check_receives(clients[2].peer, "one two ", 8);
	CHECK_EQ(queued(clients[2].sd, &pool), 0);
	CHECK(!FD_ISSET(clients[2].sd, &pool.write_set));
	leave_all(clients, 3, &pool);
}

TEST(after_uncorking_messages_are_queued_as_ever)
{
	struct client clients[2];

	open_room(clients, 2, &pool);
	CHECK_EQ(chat_cork(&pool), 0);
	CHECK_EQ(chat_uncork(&pool), 0);
	say(clients[0], "hello");
	CHECK_EQ(queued(clients[1].sd, &pool), 1);
	CHECK(!is_readable(clients[1].peer));
	leave_all(clients, 2, &pool);
}

TEST(what_nobody_in_the_room_says_is_heard_by_all)
{
	struct client clients[2];

	open_room(clients, 2, &pool);
	CHECK_EQ(chat_cork(&pool), 0);
	say(clients[0], "one ");
	CHECK_EQ(add_msg(OUTSIDER, "news ", 5, &pool), 0);
	say(clients[0], "two");
	CHECK_EQ(chat_uncork(&pool), 0);
	check_receives(clients[0].peer, "news ", 5);
	check_receives(clients[1].peer, "one news two", 12);
	leave_all(clients, 2, &pool);
}

TEST(corking_twice_is_corking_once)
{
	struct client clients[2];

	open_room(clients, 2, &pool);
	CHECK_EQ(chat_cork(&pool), 0);
	say(clients[0], "a");
	CHECK_EQ(chat_cork(&pool), 0);
	say(clients[0], "b");
	CHECK_EQ(chat_uncork(&pool), 0);
	check_receives(clients[1].peer, "ab", 2);
	CHECK_EQ(chat_uncork(&pool), 0);
	check_receives(clients[1].peer, "", 0);
	leave_all(clients, 2, &pool);
}

TEST(an_empty_pool_can_be_corked_and_uncorked)
{
	struct client clients[2];

	CHECK_EQ(init_pool(&pool), 0);
	CHECK_EQ(chat_cork(&pool), 0);
	join_all(clients, 2, &pool);
	say(clients[0], "hello");
	CHECK_EQ(chat_uncork(&pool), 0);
	CHECK_EQ(write_msg(clients[1].sd, &pool), 0);
	check_receives(clients[1].peer, "hello", 5);
	leave_all(clients, 2, &pool);
	CHECK_FAILS(chat_cork(NULL), EINVAL);
	CHECK_FAILS(chat_uncork(NULL), EINVAL);
}

TEST(who_joins_hears_only_what_is_said_after)
{
	struct client clients[2], late;

	open_room(clients, 2, &pool);
	CHECK_EQ(chat_cork(&pool), 0);
	say(clients[0], "before ");
	late = join(&pool);
	say(clients[0], "after");
	CHECK_EQ(chat_uncork(&pool), 0);
	check_receives(clients[1].peer, "before after", 12);
	check_receives(late.peer, "after", 5);
	leave(late, &pool);
	leave_all(clients, 2, &pool);
}

TEST(who_leaves_gets_nothing_and_what_it_said_is_delivered)
{
	struct client clients[3];

	open_room(clients, 3, &pool);
	CHECK_EQ(chat_cork(&pool), 0);
	say(clients[0], "my last words ");
	say(clients[1], "goodbye");
	CHECK_EQ(remove_conn(clients[0].sd, &pool), 0);
	CHECK_EQ(chat_uncork(&pool), 0);
	check_receives(clients[2].peer, "my last words goodbye", 21);
	check_receives(clients[1].peer, "my last words ", 14);
	check_receives(clients[0].peer, "", 0);
	close(clients[0].peer);
	leave_all(clients + 1, 2, &pool);
}

/* A newcomer with the number of an earlier sender is a different connection. */
TEST(a_number_used_again_while_corked_is_somebody_else)
{
	struct client clients[2], late;

	open_room(clients, 2, &pool);
	CHECK_EQ(chat_cork(&pool), 0);
	say(clients[1], "old ");
	leave(clients[1], &pool);
	late = join(&pool);
	CHECK_EQ(late.sd, clients[1].sd);
	say(late, "new");
	say(clients[0], "!");
	CHECK_EQ(chat_uncork(&pool), 0);
	check_receives(clients[0].peer, "old new", 7);
	check_receives(late.peer, "!", 1);
	leave(late, &pool);
	leave(clients[0], &pool);
}

TEST(what_was_queued_before_comes_before)
{
	struct client clients[2];

	open_room(clients, 2, &pool);
	say(clients[0], "first ");
	CHECK_EQ(chat_cork(&pool), 0);
	say(clients[0], "second ");
	CHECK_EQ(chat_tell(clients[1].sd, "third ", 6, &pool), 0);
	say(clients[0], "fourth");
	CHECK_EQ(chat_uncork(&pool), 0);
	CHECK_EQ(write_msg(clients[1].sd, &pool), 0);
	check_receives(clients[1].peer, "first second third fourth", 25);
	leave_all(clients, 2, &pool);
}

/* Leaving with a batch that nobody will get: the memory goes with the last connection, which
 * valgrind watches. */
TEST(a_pool_emptied_while_corked_owns_nothing)
{
	struct client clients[2];

	open_room(clients, 2, &pool);
	CHECK_EQ(chat_cork(&pool), 0);
	say(clients[0], "hello");
	leave_all(clients, 2, &pool);
	CHECK_EQ(chat_uncork(&pool), 0);
	clients[0] = join(&pool);
	CHECK_EQ(chat_uncork(&pool), 0);
	check_receives(clients[0].peer, "", 0);
	leave(clients[0], &pool);
}

TEST(the_batch_outlives_the_first_connection)
{
	struct client clients[3];

	open_room(clients, 3, &pool);
	CHECK_EQ(chat_cork(&pool), 0);
	say(clients[2], "still here");
	leave(clients[0], &pool);
	CHECK_EQ(chat_uncork(&pool), 0);
	check_receives(clients[1].peer, "still here", 10);
	leave_all(clients + 1, 2, &pool);
}

TEST(a_full_batch_is_delivered_at_once)
{
	struct client clients[2];
	char *text = malloc(BOUND);

	open_room(clients, 2, &pool);
	fill(text, BOUND, 0);
	CHECK_EQ(chat_cork(&pool), 0);
	CHECK_EQ(add_msg(clients[0].sd, text, BOUND - 1, &pool), 0);
	CHECK(!is_readable(clients[1].peer));
	CHECK_EQ(add_msg(clients[0].sd, text, 1, &pool), 0);
	CHECK(is_readable(clients[1].peer));
	CHECK_EQ(queued(clients[1].sd, &pool), 1); /* the kernel did not take these */
	CHECK(FD_ISSET(clients[1].sd, &pool.write_set));
	CHECK_EQ(chat_uncork(&pool), 0);
	free(text);
	leave_all(clients, 2, &pool);
}

TEST(who_is_over_the_limit_is_cut_off_on_uncorking)
{
	struct client clients[2];
	chat_conn_info_t info;
	char *text = malloc(BOUND);
	int count;

	open_room(clients, 2, &pool);
	fill(text, BOUND, 0);
	chat_set_max_queue(BOUND);
	for (count = 0; count < 3; count++) {
		CHECK_EQ(chat_cork(&pool), 0);
		CHECK_EQ(add_msg(clients[0].sd, text, BOUND / 2, &pool), 0);
		CHECK_EQ(chat_uncork(&pool), 0);
		CHECK_EQ(chat_get_info(clients[1].sd, &pool, &info), 0);
		CHECK_EQ(info.cut_off, count == 2 ? ENOBUFS : 0);
	}
	free(text);
	leave_all(clients, 2, &pool);
}

/* Delivering the batch first cuts it off, so the private message must not be queued. */
TEST(nothing_is_told_to_who_is_cut_off_meanwhile)
{
	struct client clients[2];
	char *text = malloc(BOUND);

	open_room(clients, 2, &pool);
	fill(text, BOUND, 0);
	chat_set_max_queue(BOUND / 2);
	CHECK_EQ(add_msg(clients[0].sd, text, BOUND / 4, &pool), 0);
	CHECK_EQ(chat_cork(&pool), 0);
	CHECK_EQ(add_msg(clients[0].sd, text, BOUND - 1, &pool), 0);
	CHECK_EQ(chat_tell(clients[1].sd, "hello", 5, &pool), 0);
	CHECK_EQ(queued(clients[1].sd, &pool), 0);
	CHECK(!FD_ISSET(clients[1].sd, &pool.write_set));
	CHECK_EQ(chat_uncork(&pool), 0);
	free(text);
	leave_all(clients, 2, &pool);
}

TEST(a_peer_that_is_gone_gets_nothing_and_stays_until_the_read)
{
	struct client clients[3];

	set_sigpipe_to_default();
	open_room(clients, 3, &pool);
	close(clients[1].peer);
	CHECK_EQ(chat_cork(&pool), 0);
	say(clients[0], "hello");
	CHECK_EQ(chat_uncork(&pool), 0);
	check_receives(clients[2].peer, "hello", 5);
	CHECK_EQ(queued(clients[1].sd, &pool), 0);
	CHECK(!FD_ISSET(clients[1].sd, &pool.write_set));
	CHECK_EQ(pool.nr_conns, 3);
	CHECK_EQ(remove_conn(clients[1].sd, &pool), 0);
	leave(clients[0], &pool);
	leave(clients[2], &pool);
}

TEST(listening_sockets_get_nothing)
{
	struct client clients[2];
	int listener = listen_on_loopback();

	open_room(clients, 2, &pool);
	CHECK_EQ(add_conn(listener, &pool), 0);
	CHECK_EQ(chat_cork(&pool), 0);
	say(clients[0], "hello");
	CHECK_EQ(chat_uncork(&pool), 0);
	CHECK_EQ(queued(listener, &pool), 0);
	CHECK(!FD_ISSET(listener, &pool.write_set));
	CHECK_EQ(remove_conn(listener, &pool), 0);
	leave_all(clients, 2, &pool);
}

/* The batch has to hold it once, but must not keep so much memory for the next one. */
TEST(an_unusually_large_message_arrives_and_its_memory_is_given_back)
{
	enum { LARGE = 2 * BOUND + 1 };
	struct client clients[2];
	char *large = malloc(LARGE), *received = malloc(LARGE);
	size_t size = 0;

	open_room(clients, 2, &pool);
	chat_set_max_queue(0);
	fill(large, LARGE, 0);
	CHECK_EQ(chat_cork(&pool), 0);
	CHECK_EQ(add_msg(clients[0].sd, large, LARGE, &pool), 0);
	free(large);
	CHECK_EQ(chat_uncork(&pool), 0);
	/* What is queued and what is received, but not the batch, which is twice as large. */
	CHECK(mallinfo2().hblkhd < 4 * BOUND);
	while (size < LARGE) {
		size += read_available(clients[1].peer, received + size, LARGE - size);
		CHECK_EQ(write_msg(clients[1].sd, &pool), 0);
	}
	check_pattern(received, LARGE, 0);
	free(received);
	leave_all(clients, 2, &pool);
}
