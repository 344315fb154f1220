/* chat_say: a message for all but one, or for all. */

#include "chatServerExt.h"
#include "room.h"

TEST_WITH_CLIENTS(chat_say_queues_for_everyone_but_one, 3)
{
	static const char text[] = "hello";
	int at;

	CHECK_EQ(chat_say(clients[1].sd, text, 5, pool), 0);
	CHECK_EQ(chat_say(OUTSIDER, text, 5, pool), 0);
	for (at = 0; at < 3; at++) {
		CHECK_EQ(queued(clients[at].sd, pool), at == 1 ? 1 : 2);
		CHECK(FD_ISSET(clients[at].sd, &pool->write_set));
		CHECK_EQ(write_msg(clients[at].sd, pool), 0);
		check_receives(clients[at].peer, "hellohello", at == 1 ? 5 : 10);
	}
}

TEST_WITH_CLIENTS(chat_say_leaves_nobody_out_for_minus_1, 3)
{
	int at;

	CHECK_EQ(chat_say(-1, "all\0 of you", 11, pool), 0);
	CHECK_EQ(chat_say(-1, NULL, 0, pool), 0);
	for (at = 0; at < 3; at++) {
		CHECK_EQ(queued(clients[at].sd, pool), 1);
		CHECK_EQ(write_msg(clients[at].sd, pool), 0);
		check_receives(clients[at].peer, "all\0 of you", 11);
	}
}

TEST_WITH_CLIENTS(chat_say_is_held_back_in_a_corked_pool, 2)
{
	CHECK_EQ(chat_cork(pool), 0);
	CHECK_EQ(chat_say(-1, "one ", 4, pool), 0);
	CHECK_EQ(chat_say(clients[0].sd, "two ", 4, pool), 0);
	CHECK_EQ(chat_say(-1, "three", 5, pool), 0);
	CHECK(!is_readable(clients[1].peer));
	CHECK_EQ(chat_uncork(pool), 0);
	check_receives(clients[0].peer, "one three", 9);
	check_receives(clients[1].peer, "one two three", 13);
}

TEST_WITH_POOL(chat_say_leaves_listeners_out)
{
	int listener = listen_on_loopback();

	CHECK_EQ(chat_say(-1, "nobody", 6, pool), 0);
	CHECK_EQ(add_conn(listener, pool), 0);
	CHECK_EQ(chat_say(-1, "nobody", 6, pool), 0);
	CHECK_EQ(queued(listener, pool), 0);
	CHECK_EQ(remove_conn(listener, pool), 0);
}

TEST_WITH_CLIENT(chat_say_refuses_arguments_that_make_no_sense)
{
	CHECK_FAILS(chat_say(client.sd, "x", 1, NULL), EINVAL);
	CHECK_FAILS(chat_say(client.sd, NULL, 1, pool), EINVAL);
	CHECK_FAILS(chat_say(-1, "x", -1, pool), EINVAL);
	CHECK_FAILS(chat_say(-2, "x", 1, pool), EINVAL);
	CHECK_FAILS(chat_say(INT_MIN, "x", 1, pool), EINVAL);
	CHECK_EQ(queued(client.sd, pool), 0);
}
