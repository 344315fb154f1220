/*
 * calls.c - every call of the library as it is under torture. It goes on between a test program
 * and the library, and a test must not notice: what it expects has to hold all the same.
 *
 * A call that needs memory is made again and again, with each of its allocations failing in turn,
 * alone and with all that follow: each time it must fail, and nothing must have happened. The last
 * time there is memory enough, and the test gets the answer.
 *
 * A write is made again and again with the kernel full, short of memory, or taking a byte: what
 * has been sent and what still waits must make up what there was. Before that, a copy of the
 * process finds the connection broken.
 *
 * link: -Wl,--wrap=init_pool,--wrap=initPool,--wrap=add_conn,--wrap=addConn
 * link: -Wl,--wrap=remove_conn,--wrap=removeConn,--wrap=add_msg,--wrap=addMsg
 * link: -Wl,--wrap=write_msg,--wrap=write_to_client,--wrap=writeToClient
 * link: -Wl,--wrap=chat_feed,--wrap=chat_tell,--wrap=chat_get_info
 * link: -Wl,--wrap=chat_cork,--wrap=chat_uncork
 */

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lists.h"
#include "chatServerExt.h"
#include "kernel.h"
#include "memory.h"

/* Declares a function of the library and what stands before it. */
#define BETWEEN(name, parameters)         \
	int __real_##name parameters;     \
	int __wrap_##name parameters;     \
	int __wrap_##name parameters

/* The pool that may be corked: calls on it deliver what was said before, even if they fail. */
static _Thread_local const conn_pool_t *corked;

static bool is_corked(const conn_pool_t *pool)
{
	return pool != NULL && pool == corked;
}

/* ---- Calls that need no memory ---- */

static void enter_without_memory(struct kernel_plan plan)
{
	memory_enter(1, true);
	kernel_enter(plan);
}

static bool leave_without_memory(void)
{
	CHECK_EQ(memory_leave(), 0);
	return kernel_leave();
}

static int leave(int outcome, const conn_pool_t *pool)
{
	leave_without_memory();
	/* The batch goes with the last connection. */
	if (is_corked(pool) && pool->conn_head == NULL)
		corked = NULL;
	return outcome;
}

#define FRUGAL(name, parameters, arguments)                          \
	BETWEEN(name, parameters)                                    \
	{                                                            \
		enter_without_memory((struct kernel_plan){ 0 });     \
		return leave(__real_##name arguments, pool);         \
	}

FRUGAL(init_pool, (conn_pool_t *pool), (pool))
FRUGAL(initPool, (conn_pool_t *pool), (pool))
FRUGAL(remove_conn, (int sd, conn_pool_t *pool), (sd, pool))
FRUGAL(removeConn, (int sd, conn_pool_t *pool), (sd, pool))
FRUGAL(chat_get_info, (int sd, conn_pool_t *pool, chat_conn_info_t *info), (sd, pool, info))

/* ---- Writing ---- */

typedef int hand_out(int sd, conn_pool_t *pool);

static int write_with(hand_out *write, struct kernel_plan plan, int sd, conn_pool_t *pool,
                      bool *failed)
{
	int outcome;

	enter_without_memory(plan);
	outcome = write(sd, pool);
	*failed = leave_without_memory();
	return outcome;
}

static size_t bytes_queued(const conn_t *conn)
{
	const msg_t *msg;
	size_t size = 0;

	for (msg = conn->write_msg_head; msg != NULL; msg = msg->next)
		size += (size_t)msg->size;
	return size;
}

/* All that is queued, in a row. */
static char *copy_of_queue(const conn_t *conn)
{
	char *bytes = malloc(bytes_queued(conn) + 1), *end = bytes;
	const msg_t *msg;

	CHECK(bytes != NULL);
	for (msg = conn->write_msg_head; msg != NULL; msg = msg->next) {
		memcpy(end, msg->message, (size_t)msg->size);
		end += msg->size;
	}
	return bytes;
}

/* Checks that so many bytes are queued, these, and that the bit is cleared when there are none. */
static void check_queue(const conn_t *conn, const char *bytes, size_t size, bool bit_was_set,
                        const conn_pool_t *pool)
{
	const msg_t *msg;

	check_queue_sound(conn);
	CHECK_EQ(bytes_queued(conn), size);
	for (msg = conn->write_msg_head; msg != NULL; bytes += msg->size, msg = msg->next)
		CHECK(memcmp(msg->message, bytes, (size_t)msg->size) == 0);
	CHECK(size > 0 || conn->write_msg_tail == NULL);
	CHECK_EQ(FD_ISSET(conn->fd, &pool->write_set) != 0, size > 0 && bit_was_set);
}

/* The connection turns out to be broken, at once or at the second send. */
static void check_broken(hand_out *write, int sd, conn_pool_t *pool, int number)
{
	static const int errors[] = { EPIPE, ECONNRESET, ETIMEDOUT };
	struct kernel_plan plan = { .failing = 1 + number / 3 % 2, .fault = errors[number % 3],
		                    .pretends = true };
	struct picture before = picture_of(pool);
	const conn_t *conn = conn_of(sd, pool);
	bool failed;
	int outcome = write_with(write, plan, sd, pool, &failed);

	CHECK(!failed || (outcome == -1 && errno == plan.fault));
	CHECK(conn_of(sd, pool) == conn);
	CHECK(has_same_room(&before, pool));
	check_queue(conn, NULL, 0, true, pool);
	CHECK_EQ(write_with(write, (struct kernel_plan){ 0 }, sd, pool, &failed), 0);
}

/* How many breakdowns are rehearsed: enough for every kind, and a process costs time. */
enum { REHEARSALS = 32 };
static _Thread_local int rehearsals;

/* What comes of a broken connection cannot be undone, so it is left to a copy of the process. That
 * ends by a signal where all is well, so that nothing it has inherited is flushed or called lost. */
static void rehearse_breakdown(hand_out *write, int sd, conn_pool_t *pool)
{
	int status;
	pid_t child;

	if (rehearsals == REHEARSALS)
		return;
	child = fork();
	CHECK(child != -1);
	if (child == 0) {
		check_broken(write, sd, pool, rehearsals);
		kill(getpid(), SIGKILL);
	}
	rehearsals++;
	while (waitpid(child, &status, 0) == -1)
		CHECK_EQ(errno, EINTR);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Writes with one fault after the other, until none comes to pass any more. These are the bytes
 * that wait. */
static int write_through_faults(hand_out *write, int sd, conn_pool_t *pool, const char *bytes)
{
	static const int faults[] = { EAGAIN, ENOBUFS, ENOMEM, ONE_BYTE };
	enum { FAULTS = sizeof faults / sizeof faults[0] };
	const conn_t *conn = conn_of(sd, pool);
	bool bit_was_set = FD_ISSET(sd, &pool->write_set) != 0, failed = true;
	size_t left = bytes_queued(conn);
	int at;

	for (at = 0; failed; at++) {
		struct kernel_plan plan = { .failing = 1 + at / FAULTS, .fault = faults[at % FAULTS],
			                    .bytes = bytes };

		/* What fails now is no fault of ours, and ends the matter. */
		if (write_with(write, plan, sd, pool, &failed) == -1)
			return -1;
		bytes += kernel_has_taken();
		left -= kernel_has_taken();
		check_queue(conn, bytes, left, bit_was_set, pool);
	}
	return 0;
}

static int write_tortured(hand_out *write, int sd, conn_pool_t *pool)
{
	const conn_t *conn = pool == NULL ? NULL : conn_of(sd, pool);
	int outcome, error;
	bool unused;
	char *bytes;

	if (conn == NULL || conn->write_msg_head == NULL)
		return write_with(write, (struct kernel_plan){ 0 }, sd, pool, &unused);
	rehearse_breakdown(write, sd, pool);
	bytes = copy_of_queue(conn);
	outcome = write_through_faults(write, sd, pool, bytes);
	error = errno;
	free(bytes);
	errno = error;
	return outcome;
}

#define WRITING(name)                                         \
	BETWEEN(name, (int sd, conn_pool_t *pool))            \
	{                                                     \
		return write_tortured(__real_##name, sd, pool); \
	}

WRITING(write_msg)
WRITING(write_to_client)
WRITING(writeToClient)

/* ---- Calls that need memory ---- */

/* A call on its way through all failures. */
struct trial {
	conn_pool_t *pool;
	struct picture before;
	int error; /* errno before */
	int failing;
	bool for_ever;
};

static void enter(const struct trial *trial)
{
	errno = trial->error;
	memory_enter(trial->failing, trial->for_ever);
	kernel_enter((struct kernel_plan){ .pool = is_corked(trial->pool) ? corked : NULL });
}

static struct trial begin(conn_pool_t *pool)
{
	struct trial trial = { .pool = pool, .error = errno, .failing = 1 };

	if (pool != NULL)
		trial.before = picture_of(pool);
	enter(&trial);
	return trial;
}

/* What a full kernel has not taken when it was handed out is sent after all, as the test knows it.
 * That the peer is really gone is the test's business. */
static void make_up(conn_pool_t *pool)
{
	conn_t *conn;

	for (conn = pool->conn_head; conn != NULL; conn = conn->next) {
		if (kernel_has_failed(conn->fd) && conn->write_msg_head != NULL)
			(void)__real_write_msg(conn->fd, pool);
	}
}

/* Nothing has happened. To a corked pool something has: its batch is on its way, further or not. */
static void check_nothing_happened(const struct trial *trial)
{
	const conn_t *conn;

	if (!is_corked(trial->pool)) {
		CHECK(is_as_in(&trial->before, trial->pool));
		return;
	}
	CHECK(has_same_room(&trial->before, trial->pool));
	for (conn = trial->pool->conn_head; conn != NULL; conn = conn->next)
		check_queue_sound(conn);
}

/* Looks at how the call has ended, and prepares for the next failure; false when there is none
 * left, or the call has done its work in spite of one. */
static bool again(struct trial *trial, int outcome)
{
	int error = errno, asked_for = memory_leave();
	bool failed = asked_for >= trial->failing;

	kernel_leave();
	if (failed && outcome == 0) {
		/* The words are in the batch, which is full; it is delivered when there is memory. */
		CHECK(is_corked(trial->pool));
		CHECK_EQ(chat_uncork(trial->pool), 0);
		CHECK_EQ(chat_cork(trial->pool), 0);
		failed = false;
	}
	if (!failed) {
		if (is_corked(trial->pool))
			make_up(trial->pool);
		errno = error;
		return false;
	}
	CHECK_EQ(outcome, -1);
	CHECK_EQ(error, ENOMEM);
	check_nothing_happened(trial);
	trial->failing += trial->for_ever;
	trial->for_ever = !trial->for_ever;
	enter(trial);
	return true;
}

#define TRIED(name, arguments, outcome)                              \
	do {                                                         \
		struct trial trial = begin(pool);                    \
                                                                     \
		do                                                   \
			outcome = __real_##name arguments;           \
		while (again(&trial, outcome));                      \
	} while (0)

#define NEEDY(name, parameters, arguments)         \
	BETWEEN(name, parameters)                  \
	{                                          \
		int outcome;                       \
                                                   \
		TRIED(name, arguments, outcome);   \
		return outcome;                    \
	}

NEEDY(add_conn, (int sd, conn_pool_t *pool), (sd, pool))
NEEDY(addConn, (int sd, conn_pool_t *pool), (sd, pool))
NEEDY(add_msg, (int sd, char *buffer, int len, conn_pool_t *pool), (sd, buffer, len, pool))
NEEDY(addMsg, (int sd, char *buffer, int len, conn_pool_t *pool), (sd, buffer, len, pool))
NEEDY(chat_tell, (int sd, const char *buffer, int len, conn_pool_t *pool), (sd, buffer, len, pool))
NEEDY(chat_feed, (int sd, const char *buffer, int len, conn_pool_t *pool), (sd, buffer, len, pool))

BETWEEN(chat_cork, (conn_pool_t *pool))
{
	int outcome;

	TRIED(chat_cork, (pool), outcome);
	if (outcome == 0 && pool->conn_head != NULL)
		corked = pool;
	return outcome;
}

BETWEEN(chat_uncork, (conn_pool_t *pool))
{
	int outcome;

	TRIED(chat_uncork, (pool), outcome);
	if (outcome == 0 && is_corked(pool))
		corked = NULL;
	return outcome;
}

/* ---- The beginning and the end ---- */

/* TORTURE_SEED repeats a run that has failed. */
static unsigned int seed;

static void report(int status, void *unused)
{
	(void)unused;
	if (status == EXIT_SUCCESS)
		fprintf(stderr, "faults injected: %ld\n",
		        memory_end() + kernel_faults() + rehearsals);
	else
		fprintf(stderr, "TORTURE_SEED=%u\n", seed);
}

__attribute__((constructor)) static void prepare(void)
{
	const char *given = getenv("TORTURE_SEED");

	seed = given != NULL ? (unsigned int)strtoul(given, NULL, 10) : (unsigned int)getpid();
	kernel_set_seed(seed);
	CHECK_EQ(on_exit(report, NULL), 0);
}
