/* chat_cork and chat_uncork: messages are collected in one batch and sent together. */

#include <malloc.h>

#include "chatServerExt.h"
#include "room.h"

enum { BOUND = 4 << 20 };

TEST_WITH_CLIENTS(nothing_is_queued_until_the_pool_is_uncorked, 3)
{
	CHECK_EQ(chat_cork(pool), 0);
	say_text(clients[0].sd, "one ", pool);
	say_text(clients[1].sd, "two ", pool);
	CHECK_EQ(queued(clients[2].sd, pool), 0);
	CHECK(!is_readable(clients[2].peer));
	CHECK_EQ(chat_uncork(pool), 0);
	check_receives(clients[0].peer, "two ", 4);
	check_receives(clients[1].peer, "one ", 4);
	check_receives(clients[2].peer, "one two ", 8);
	CHECK_EQ(queued(clients[2].sd, pool), 0);
	CHECK(!FD_ISSET(clients[2].sd, &pool->write_set));
}

/* Unless it speaks again after somebody else has spoken. */
TEST_WITH_CLIENTS(a_speaker_receives_nothing_before_the_pool_is_uncorked, 2)
{
	CHECK_EQ(chat_cork(pool), 0);
	say_text(clients[0].sd, "one ", pool);
	say_text(clients[1].sd, "two ", pool);
	say_text(clients[1].sd, "three ", pool);
	CHECK(!is_readable(clients[1].peer));
	CHECK_EQ(chat_uncork(pool), 0);
	check_receives(clients[1].peer, "one ", 4);
}

/* Over a socket that has datagrams an empty one would arrive. */
TEST_WITH_POOL(a_client_that_has_only_spoken_is_sent_nothing)
{
	struct client client;
	int pair[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	client = (struct client){ .sd = pair[0], .peer = pair[1] };
	CHECK_EQ(add_conn(client.sd, pool), 0);
	CHECK_EQ(chat_cork(pool), 0);
	say_text(client.sd, "hello", pool);
	CHECK_EQ(chat_uncork(pool), 0);
	CHECK(!is_readable(client.peer));
	leave(client, pool);
}

TEST_WITH_CLIENTS(what_the_kernel_leaves_of_a_batch_follows_once, 2)
{
	enum { LONG = 1 << 20 };
	char *text = malloc(LONG);

	fill(text, LONG, 0);
	CHECK_EQ(chat_cork(pool), 0);
	CHECK_EQ(add_msg(clients[0].sd, text, LONG, pool), 0);
	say_text(clients[1].sd, "hello", pool);
	CHECK_EQ(chat_uncork(pool), 0);
	CHECK_EQ(queued(clients[1].sd, pool), 1);
	check_stream(clients[1], LONG, pool);
	free(text);
}

/* The kernel is offered none of this, since something is queued. */
TEST_WITH_CLIENTS(what_follows_joins_no_long_message, 2)
{
	char text[10000];
	int count;

	fill(text, sizeof text, 0);
	CHECK_EQ(chat_tell(clients[1].sd, "first", 5, pool), 0);
	for (count = 1; count <= 3; count++) {
		CHECK_EQ(chat_cork(pool), 0);
		CHECK_EQ(add_msg(clients[0].sd, text, sizeof text, pool), 0);
		CHECK_EQ(chat_uncork(pool), 0);
		CHECK_EQ(queued(clients[1].sd, pool), 1 + count);
	}
}

TEST_WITH_CLIENTS(after_uncorking_messages_are_queued_as_ever, 2)
{
	CHECK_EQ(chat_cork(pool), 0);
	CHECK_EQ(chat_uncork(pool), 0);
	say_text(clients[0].sd, "hello", pool);
	CHECK_EQ(queued(clients[1].sd, pool), 1);
	CHECK(!is_readable(clients[1].peer));
}

TEST_WITH_POOL(an_empty_pool_can_be_corked_and_uncorked)
{
	struct client clients[2];

	CHECK_EQ(chat_cork(pool), 0);
	join_all(clients, 2, pool);
	say_text(clients[0].sd, "hello", pool);
	CHECK_EQ(chat_uncork(pool), 0);
	CHECK_EQ(write_msg(clients[1].sd, pool), 0);
	check_receives(clients[1].peer, "hello", 5);
	leave_all(clients, 2, pool);
	CHECK_FAILS(chat_cork(NULL), EINVAL);
	CHECK_FAILS(chat_uncork(NULL), EINVAL);
}

TEST_WITH_CLIENTS(a_newcomer_receives_only_what_is_sent_afterwards, 2)
{
	struct client late;

	CHECK_EQ(chat_cork(pool), 0);
	say_text(clients[0].sd, "before ", pool);
	late = join(pool);
	say_text(clients[0].sd, "after", pool);
	CHECK_EQ(chat_uncork(pool), 0);
	check_receives(clients[1].peer, "before after", 12);
	check_receives(late.peer, "after", 5);
	leave(late, pool);
}

TEST_WITH_POOL(a_client_that_leaves_gets_nothing_and_its_messages_arrive)
{
	struct client clients[3];

	join_all(clients, 3, pool);
	CHECK_EQ(chat_cork(pool), 0);
	say_text(clients[0].sd, "my last words ", pool);
	say_text(clients[1].sd, "goodbye", pool);
	CHECK_EQ(remove_conn(clients[0].sd, pool), 0);
	CHECK_EQ(chat_uncork(pool), 0);
	check_receives(clients[2].peer, "my last words goodbye", 21);
	check_receives(clients[1].peer, "my last words ", 14);
	check_receives(clients[0].peer, "", 0);
	close(clients[0].peer);
	leave_all(clients + 1, 2, pool);
}

/* A newcomer with the number of an earlier sender is a different connection. */
TEST_WITH_POOL(a_number_used_again_while_corked_is_somebody_else)
{
	struct client clients[2], late;

	join_all(clients, 2, pool);
	CHECK_EQ(chat_cork(pool), 0);
	say_text(clients[1].sd, "old ", pool);
	leave(clients[1], pool);
	late = join(pool);
	CHECK_EQ(late.sd, clients[1].sd);
	say_text(late.sd, "new", pool);
	say_text(clients[0].sd, "!", pool);
	CHECK_EQ(chat_uncork(pool), 0);
	check_receives(clients[0].peer, "old new", 7);
	check_receives(late.peer, "!", 1);
	leave(late, pool);
	leave(clients[0], pool);
}

/* Leaving with a batch that nobody will get: the memory goes with the last connection, which
 * valgrind watches. */
TEST_WITH_POOL(a_pool_emptied_while_corked_owns_nothing)
{
	struct client clients[2];

	join_all(clients, 2, pool);
	CHECK_EQ(chat_cork(pool), 0);
	say_text(clients[0].sd, "hello", pool);
	leave_all(clients, 2, pool);
	CHECK_EQ(chat_uncork(pool), 0);
	clients[0] = join(pool);
	CHECK_EQ(chat_uncork(pool), 0);
	check_receives(clients[0].peer, "", 0);
	leave(clients[0], pool);
}

TEST_WITH_POOL(the_batch_outlives_the_first_connection)
{
	struct client clients[3];

	join_all(clients, 3, pool);
	CHECK_EQ(chat_cork(pool), 0);
	say_text(clients[2].sd, "still here", pool);
	leave(clients[0], pool);
	CHECK_EQ(chat_uncork(pool), 0);
	check_receives(clients[1].peer, "still here", 10);
	leave_all(clients + 1, 2, pool);
}

TEST_WITH_CLIENTS(a_full_batch_is_delivered_at_once, 2)
{
	char *text = malloc(BOUND);

	fill(text, BOUND, 0);
	CHECK_EQ(chat_cork(pool), 0);
	CHECK_EQ(add_msg(clients[0].sd, text, BOUND - 1, pool), 0);
	CHECK(!is_readable(clients[1].peer));
	CHECK_EQ(add_msg(clients[0].sd, text, 1, pool), 0);
	CHECK(is_readable(clients[1].peer));
	CHECK_EQ(queued(clients[1].sd, pool), 1); /* the kernel did not take these */
	CHECK(FD_ISSET(clients[1].sd, &pool->write_set));
	CHECK_EQ(chat_uncork(pool), 0);
	free(text);
}

TEST_WITH_CLIENTS(a_reader_over_the_limit_is_cut_off_on_uncorking, 2)
{
	chat_conn_info_t info;
	char *text = malloc(BOUND);
	int count;

	fill(text, BOUND, 0);
	chat_set_max_queue(BOUND);
	for (count = 0; count < 3; count++) {
		CHECK_EQ(chat_cork(pool), 0);
		CHECK_EQ(add_msg(clients[0].sd, text, BOUND / 2, pool), 0);
		CHECK_EQ(chat_uncork(pool), 0);
		CHECK_EQ(chat_get_info(clients[1].sd, pool, &info), 0);
		CHECK_EQ(info.cut_off, count == 2 ? ENOBUFS : 0);
	}
	free(text);
}

/* Delivering the batch first cuts it off, so the private message must not be queued. */
TEST_WITH_CLIENTS(nothing_is_told_to_a_reader_that_is_cut_off_meanwhile, 2)
{
	char *text = malloc(BOUND);

	fill(text, BOUND, 0);
	chat_set_max_queue(BOUND / 2);
	CHECK_EQ(add_msg(clients[0].sd, text, BOUND / 4, pool), 0);
	CHECK_EQ(chat_cork(pool), 0);
	CHECK_EQ(add_msg(clients[0].sd, text, BOUND - 1, pool), 0);
	CHECK_EQ(chat_tell(clients[1].sd, "hello", 5, pool), 0);
	CHECK_EQ(queued(clients[1].sd, pool), 0);
	CHECK(!FD_ISSET(clients[1].sd, &pool->write_set));
	CHECK_EQ(chat_uncork(pool), 0);
	free(text);
}

TEST_WITH_POOL(a_peer_that_is_gone_gets_nothing_and_stays_until_the_read)
{
	struct client clients[3];

	set_sigpipe_to_default();
	join_all(clients, 3, pool);
	close(clients[1].peer);
	CHECK_EQ(chat_cork(pool), 0);
	say_text(clients[0].sd, "hello", pool);
	CHECK_EQ(chat_uncork(pool), 0);
	check_receives(clients[2].peer, "hello", 5);
	CHECK_EQ(queued(clients[1].sd, pool), 0);
	CHECK(!FD_ISSET(clients[1].sd, &pool->write_set));
	CHECK_EQ(pool->nr_conns, 3);
	CHECK_EQ(remove_conn(clients[1].sd, pool), 0);
	leave(clients[0], pool);
	leave(clients[2], pool);
}

/* The batch has to hold it once, but must not keep so much memory for the next one. */
TEST_WITH_CLIENTS(an_unusually_large_message_arrives_and_its_memory_is_given_back, 2)
{
	enum { LARGE = 2 * BOUND + 1 };
	char *large = malloc(LARGE), *received = malloc(LARGE);
	size_t size = 0;

	chat_set_max_queue(0);
	fill(large, LARGE, 0);
	CHECK_EQ(chat_cork(pool), 0);
	CHECK_EQ(add_msg(clients[0].sd, large, LARGE, pool), 0);
	free(large);
	CHECK_EQ(chat_uncork(pool), 0);
	/* What is queued and what is received, but not the batch, which is twice as large. */
	CHECK(mallinfo2().hblkhd < 4 * BOUND);
	while (size < LARGE) {
		size += read_available(clients[1].peer, received + size, LARGE - size);
		CHECK_EQ(write_msg(clients[1].sd, pool), 0);
	}
	check_pattern(received, LARGE, 0);
	free(received);
}
