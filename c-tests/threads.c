/* Threads that each drive a pool of their own, at the same time. */

#include <pthread.h>

#include "room.h"

enum { THREADS = 2, CLIENTS = 4 };

/* Numbers that no descriptor has, for members of all pools at once. */
enum { FIRST_NUMBER = 900, NUMBERS = 16 };

/* Runs all threads at once, with remove_conn's output captured. */
static void run_threads(void *(*body)(void *))
{
	int before = dup(STDOUT_FILENO), nowhere = open("/dev/null", O_WRONLY), at;
	pthread_t threads[THREADS];

	fflush(stdout);
	CHECK(dup2(nowhere, STDOUT_FILENO) != -1);
	close(nowhere);
	for (at = 0; at < THREADS; at++)
		CHECK_EQ(pthread_create(&threads[at], NULL, body, NULL), 0);
	for (at = 0; at < THREADS; at++)
		CHECK_EQ(pthread_join(threads[at], NULL), 0);
	fflush(stdout);
	CHECK(dup2(before, STDOUT_FILENO) != -1);
	close(before);
}

/* Descriptor numbers move between the threads' pools as they are closed and opened. */
static void *chat(void *unused)
{
	conn_pool_t pool;
	int round, at;

	(void)unused;
	for (round = 0; round < 500; round++) {
		struct client clients[CLIENTS];

		open_room(clients, CLIENTS, &pool);
		CHECK_EQ(add_msg(clients[0].sd, "hello", 5, &pool), 0);
		for (at = 1; at < CLIENTS; at++) {
			CHECK_EQ(write_msg(clients[at].sd, &pool), 0);
			check_receives(clients[at].peer, "hello", 5);
		}
		check_sound(&pool);
		leave_all(clients, CLIENTS, &pool);
		CHECK_EQ(pool.nr_conns, 0);
	}
	return NULL;
}

TEST(two_threads_chat_each_in_a_pool_of_its_own)
{
	run_threads(chat);
}

/* Both pools hold the same numbers, adding and removing them all the time. */
static void *share_numbers(void *unused)
{
	conn_pool_t pool;
	int round, at;

	(void)unused;
	CHECK_EQ(init_pool(&pool), 0);
	for (round = 0; round < 500; round++) {
		for (at = 0; at < NUMBERS; at++)
			CHECK_EQ(add_conn(FIRST_NUMBER + at, &pool), 0);
		for (at = 0; at < NUMBERS; at++)
			CHECK_FAILS(add_conn(FIRST_NUMBER + at, &pool), EEXIST);
		CHECK_EQ(add_msg(FIRST_NUMBER, "hello", 5, &pool), 0);
		for (at = 0; at < NUMBERS; at++) {
			CHECK_EQ(queued(FIRST_NUMBER + at, &pool), at > 0);
			/* No descriptor is open there, so writing fails and drops the queue. */
			CHECK_EQ(write_msg(FIRST_NUMBER + at, &pool), at > 0 ? -1 : 0);
			CHECK_EQ(queued(FIRST_NUMBER + at, &pool), 0);
		}
		check_sound(&pool);
		for (at = 0; at < NUMBERS; at++)
			CHECK_EQ(remove_conn(FIRST_NUMBER + (at * 7 + round) % NUMBERS, &pool), 0);
		CHECK_EQ(pool.nr_conns, 0);
	}
	return NULL;
}

TEST(two_threads_have_the_same_numbers_each_in_a_pool_of_its_own)
{
	run_threads(share_numbers);
}
