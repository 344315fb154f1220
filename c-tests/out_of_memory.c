/* Memory runs out: every allocation of a call fails once, alone and with all that follow. Nothing
 * has happened then, nothing is lost, and the next call works.
 *
 * The linker leads the library's calls to the functions below.
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free
 */

#include <sys/mman.h>

#include "chatServerExt.h"
#include "room.h"

enum { RECIPIENTS = 5 };

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);

/* Which allocation from now on fails, counted from 1; 0 for none. */
static int failing;
/* Whether all that follow fail, too. */
static bool for_ever;
static int allocations, blocks;

static bool fails(void)
{
	allocations++;
	return failing != 0 && (for_ever ? allocations >= failing : allocations == failing);
}

static void *counted(void *block)
{
	if (block == NULL)
		errno = ENOMEM;
	else
		blocks++;
	return block;
}

void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return counted(fails() ? NULL : __real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
	return counted(fails() ? NULL : __real_calloc(count, size));
}

void *__wrap_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size)
{
	void *moved;

	if (block == NULL)
		return __wrap_malloc(size);
	moved = fails() ? NULL : __real_realloc(block, size);
	if (moved == NULL)
		errno = ENOMEM;
	return moved;
}

void __wrap_free(void *block);
void __wrap_free(void *block)
{
	blocks -= block != NULL;
	__real_free(block);
}

/* A call on a room, and what it should have led to. */
struct scene {
	int (*call)(struct client clients[RECIPIENTS + 1], conn_pool_t *pool);
	void (*check)(struct client clients[RECIPIENTS + 1], conn_pool_t *pool);
	/* How many allocations are to have failed at least, each in its turn. */
	int allocations;
};

static int call_with(const struct scene *scene, int number, bool all,
                     struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	int outcome;

	allocations = 0;
	failing = number;
	for_ever = all;
	errno = 0;
	outcome = scene->call(clients, pool);
	failing = 0;
	return outcome;
}

/* Plays the scene with allocation `number` failing; false when there are not so many. */
static bool play(const struct scene *scene, int number, bool all)
{
	struct client clients[RECIPIENTS + 1];
	struct picture before;
	conn_pool_t pool;
	bool failed;
	int at;

	open_room(clients, RECIPIENTS + 1, &pool);
	CHECK_EQ(add_msg(clients[1].sd, "old", 3, &pool), 0);
	CHECK_EQ(chat_feed(clients[0].sd, "a tail ", 7, &pool), 0);
	before = picture_of(&pool);
	failed = call_with(scene, number, all, clients, &pool) != 0;
	CHECK_EQ(failed, allocations >= number);
	if (failed) {
		CHECK_EQ(errno, ENOMEM);
		CHECK(is_as_in(&before, &pool));
		CHECK_EQ(call_with(scene, 0, false, clients, &pool), 0);
	}
	check_sound(&pool);
	scene->check(clients, &pool);
	while (pool.conn_head != NULL)
		CHECK_EQ(remove_conn(pool.conn_head->fd, &pool), 0);
	for (at = 0; at <= RECIPIENTS; at++)
		close(clients[at].peer);
	/* What a failed call had allocated before has not been lost. */
	CHECK_EQ(blocks, 0);
	return failed;
}

static void play_every_failure(const struct scene *scene)
{
	int number, all;

	for (all = 0; all < 2; all++) {
		for (number = 1; play(scene, number, all); number++)
			;
		CHECK(number > scene->allocations);
	}
}

/* The first client, who has left a tail, is the speaker; the others have these bytes waiting. */
static void check_others_have(const char *text, struct client clients[RECIPIENTS + 1],
                              conn_pool_t *pool)
{
	int at;

	for (at = 1; at <= RECIPIENTS; at++) {
		char expected[64];

		snprintf(expected, sizeof expected, "%s%s", at == 1 ? "" : "old", text);
		CHECK_EQ(write_msg(clients[at].sd, pool), 0);
		check_hears(clients[at].peer, expected, strlen(expected));
	}
}

static int newcomer;

static int let_in(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	newcomer = clients[0].peer;
	return add_conn(newcomer, pool);
}

static void check_is_in(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	CHECK_EQ(pool->nr_conns, RECIPIENTS + 2);
	CHECK(conn_of(newcomer, pool) != NULL);
	CHECK(FD_ISSET(newcomer, &pool->read_set));
	/* It leaves first, so that its number is not closed twice. */
	CHECK_EQ(remove_conn(newcomer, pool), 0);
	clients[0].peer = dup(clients[0].sd);
}

TEST(add_conn_without_memory_changes_nothing)
{
	play_every_failure(&(struct scene){ let_in, check_is_in, 1 });
}

static int say(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	return add_msg(clients[0].sd, "hello", 5, pool);
}

static void check_said(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	check_others_have("hello", clients, pool);
}

TEST(add_msg_without_memory_queues_for_nobody)
{
	play_every_failure(&(struct scene){ say, check_said, 2 * RECIPIENTS });
}

static int say_loudly(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	return addMsg(clients[0].sd, "hello", 5, pool);
}

static void check_said_loudly(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	check_others_have("HELLO", clients, pool);
}

TEST(addMsg_without_memory_queues_for_nobody)
{
	play_every_failure(&(struct scene){ say_loudly, check_said_loudly, 2 * RECIPIENTS });
}

static int end_line(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	return chat_feed(clients[0].sd, "ends\n", 5, pool);
}

static void check_line_ended(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	check_others_have("a tail ends\n", clients, pool);
	CHECK_EQ(chat_feed(clients[0].sd, NULL, 0, pool), 0);
	CHECK_EQ(queued(clients[1].sd, pool), 0);
}

TEST(chat_feed_without_memory_passes_nothing_on_and_keeps_the_tail)
{
	play_every_failure(&(struct scene){ end_line, check_line_ended, 2 * RECIPIENTS });
}

/* So much comes after the last newline that room for it has to be found. */
static char long_tail[1000];

static int end_line_and_begin_another(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	memset(long_tail, 'x', sizeof long_tail);
	memcpy(long_tail, "ends\n", 5);
	return chat_feed(clients[0].sd, long_tail, sizeof long_tail, pool);
}

static void check_another_begun(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	int at;

	check_others_have("a tail ends\n", clients, pool);
	CHECK_EQ(chat_feed(clients[0].sd, NULL, 0, pool), 0);
	for (at = 1; at <= RECIPIENTS; at++) {
		CHECK_EQ(write_msg(clients[at].sd, pool), 0);
		check_hears(clients[at].peer, long_tail + 5, sizeof long_tail - 5);
	}
}

TEST(chat_feed_without_memory_for_a_new_tail_keeps_the_old_one)
{
	play_every_failure(&(struct scene){ end_line_and_begin_another, check_another_begun,
	                                    2 * RECIPIENTS + 1 });
}

static int go_on(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	memset(long_tail, 'y', sizeof long_tail);
	return chat_feed(clients[0].sd, long_tail, sizeof long_tail, pool);
}

static void check_gone_on(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	int at;

	CHECK_EQ(queued(clients[1].sd, pool), 0);
	CHECK_EQ(chat_feed(clients[0].sd, "\n", 1, pool), 0);
	for (at = 1; at <= RECIPIENTS; at++) {
		char heard[2048];
		size_t skip = at == 1 ? 7 : 10;

		CHECK_EQ(write_msg(clients[at].sd, pool), 0);
		CHECK_EQ(hear(clients[at].peer, heard, sizeof heard), skip + sizeof long_tail + 1);
		CHECK_EQ(memcmp(heard, &"olda tail "[10 - skip], skip), 0);
		CHECK_EQ(memcmp(heard + skip, long_tail, sizeof long_tail), 0);
	}
}

TEST(chat_feed_without_memory_for_a_longer_tail_keeps_what_it_had)
{
	play_every_failure(&(struct scene){ go_on, check_gone_on, 1 });
}

/* A first tail needs memory; in this scene the speaker is one who has said nothing yet. */
static int begin_line(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	return chat_feed(clients[2].sd, "begins ", 7, pool);
}

static void check_line_begun(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	CHECK_EQ(queued(clients[1].sd, pool), 0);
	CHECK_EQ(chat_feed(clients[2].sd, "\n", 1, pool), 0);
	CHECK_EQ(write_msg(clients[1].sd, pool), 0);
	check_hears(clients[1].peer, "begins \n", 8);
}

TEST(chat_feed_without_memory_for_a_first_tail_keeps_nothing)
{
	play_every_failure(&(struct scene){ begin_line, check_line_begun, 1 });
}

/* A whole line and a tail, from the same speaker: both or neither. */
static int say_line_and_begin(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	return chat_feed(clients[2].sd, "line\nbegins ", 12, pool);
}

static void check_line_said_and_begun(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	CHECK_EQ(write_msg(clients[1].sd, pool), 0);
	check_hears(clients[1].peer, "line\n", 5);
	check_line_begun(clients, pool);
}

TEST(chat_feed_without_memory_for_a_line_and_a_tail_takes_neither)
{
	play_every_failure(&(struct scene){ say_line_and_begin, check_line_said_and_begun,
	                                    2 * RECIPIENTS + 1 });
}

static int tell(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	return chat_tell(clients[2].sd, "psst", 4, pool);
}

static void check_told(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	CHECK_EQ(queued(clients[3].sd, pool), 1);
	CHECK_EQ(write_msg(clients[2].sd, pool), 0);
	check_hears(clients[2].peer, "oldpsst", 7);
}

TEST(chat_tell_without_memory_queues_nothing)
{
	play_every_failure(&(struct scene){ tell, check_told, 2 });
}

/* The batch is made by the first cork, and its text by the first words. */
static int cork_and_say(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	return chat_cork(pool) == -1 ? -1 : say(clients, pool);
}

static void check_uncorked(struct client clients[RECIPIENTS + 1], conn_pool_t *pool)
{
	CHECK_EQ(queued(clients[1].sd, pool), 0);
	CHECK_EQ(chat_uncork(pool), 0);
	check_said(clients, pool);
}

TEST(corked_add_msg_without_memory_says_nothing)
{
	play_every_failure(&(struct scene){ cork_and_say, check_uncorked, 2 });
}

/* Uncorks with allocation `number` failing, and once more; false when there are not so many. */
static bool uncork_twice(int number, bool all)
{
	struct client clients[RECIPIENTS + 1];
	conn_pool_t pool;
	bool failed;

	open_room(clients, RECIPIENTS + 1, &pool);
	CHECK_EQ(add_msg(clients[1].sd, "old", 3, &pool), 0);
	CHECK_EQ(cork_and_say(clients, &pool), 0);
	allocations = 0;
	failing = number;
	for_ever = all;
	errno = 0;
	failed = chat_uncork(&pool) != 0;
	failing = 0;
	CHECK_EQ(failed, allocations >= number);
	CHECK_EQ(errno == ENOMEM, failed);
	/* It is corked still, and who has heard the first words does not hear them again. */
	CHECK_EQ(add_msg(clients[0].sd, " again", failed ? 6 : 0, &pool), 0);
	CHECK_EQ(chat_uncork(&pool), 0);
	check_sound(&pool);
	check_others_have(failed ? "hello again" : "hello", clients, &pool);
	leave_all(clients, RECIPIENTS + 1, &pool);
	CHECK_EQ(blocks, 0);
	return failed;
}

TEST(chat_uncork_without_memory_loses_nothing_and_says_nothing_twice)
{
	int number, all;

	for (all = 0; all < 2; all++) {
		for (number = 1; uncork_twice(number, all); number++)
			;
		/* A message in two blocks for all who have something waiting. */
		CHECK(number > 2 * (RECIPIENTS - 1));
	}
}

/* The kernel takes what comes before the listener's own words, those are passed over, and it takes a
 * part of what comes after: from there on it goes on. */
TEST(chat_uncork_without_memory_goes_on_behind_what_the_listener_has_said)
{
	enum { MUCH = 100000 };
	struct client talker, listener;
	char said[MUCH], heard[MUCH];
	conn_pool_t pool;
	size_t size;

	init_pool(&pool);
	talker = join(&pool);
	listener = join(&pool);
	narrow(listener.sd);
	fill(said, MUCH, 0);
	CHECK_EQ(chat_cork(&pool), 0);
	CHECK_EQ(add_msg(talker.sd, said, 10, &pool), 0);
	CHECK_EQ(add_msg(listener.sd, "own words", 9, &pool), 0);
	CHECK_EQ(add_msg(talker.sd, said + 10, MUCH - 10, &pool), 0);
	allocations = 0;
	failing = 1;
	CHECK_FAILS(chat_uncork(&pool), ENOMEM);
	failing = 0;
	size = hear(listener.peer, heard, MUCH);
	CHECK(size > 10 && size < MUCH);
	CHECK_EQ(chat_uncork(&pool), 0);
	while (size < MUCH) {
		CHECK_EQ(write_msg(listener.sd, &pool), 0);
		size += hear(listener.peer, heard + size, MUCH - size);
	}
	check_pattern(heard, MUCH, 0);
	check_hears(listener.peer, "", 0);
	check_hears(talker.peer, "own words", 9);
	leave(talker, &pool);
	leave(listener, &pool);
	CHECK_EQ(blocks, 0);
}

/* What was said before is delivered first, and is not said again. */
TEST(a_message_that_no_batch_has_room_for_loses_nothing_of_the_batch)
{
	struct client clients[RECIPIENTS + 1];
	conn_pool_t pool;
	char *endless = mmap(NULL, INT_MAX, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	                     -1, 0);
	int at;

	CHECK(endless != MAP_FAILED);
	open_room(clients, RECIPIENTS + 1, &pool);
	CHECK_EQ(cork_and_say(clients, &pool), 0);
	allocations = 0;
	failing = 1;
	CHECK_FAILS(add_msg(NOBODY, endless, INT_MAX, &pool), ENOMEM);
	failing = 0;
	for (at = 1; at <= RECIPIENTS; at++)
		check_hears(clients[at].peer, "hello", 5);
	CHECK_EQ(chat_uncork(&pool), 0);
	for (at = 0; at <= RECIPIENTS; at++)
		check_hears(clients[at].peer, "", 0);
	CHECK_EQ(munmap(endless, INT_MAX), 0);
	leave_all(clients, RECIPIENTS + 1, &pool);
	CHECK_EQ(blocks, 0);
}

/* The rest of the interface needs no memory at all. */
TEST(init_pool_write_msg_and_remove_conn_need_no_memory)
{
	struct client clients[2];
	conn_pool_t pool;

	/* What printf needs for its buffer, it has from here on. */
	printf("\n");
	failing = 1;
	for_ever = true;
	allocations = 0;
	CHECK_EQ(init_pool(&pool), 0);
	failing = 0;
	join_all(clients, 2, &pool);
	CHECK_EQ(add_msg(NOBODY, "hello", 5, &pool), 0);
	failing = 1;
	allocations = 0;
	CHECK_EQ(write_msg(clients[0].sd, &pool), 0);
	leave_all(clients, 2, &pool);
	CHECK_EQ(allocations, 0);
	failing = 0;
}
