/*
 * calls.c - torture: stands between a test program and the library, and makes the allocations
 * and system calls of every library call fail. What the test expects must hold all the same.
 *
 * A call that allocates is repeated with each of its allocations failing in turn, alone and with
 * all that follow: each time it must fail and change nothing. The last time nothing fails, and
 * the test gets the result.
 *
 * A write is repeated with the kernel full, short of memory, or taking one byte: what was sent
 * and what is still queued must make up what there was. First, a forked copy of the process
 * writes to a broken connection.
 *
 * Where a call succeeds, errno must be what it was.
 *
 * link: -Wl,--wrap=init_pool,--wrap=initPool,--wrap=add_conn,--wrap=addConn
 * link: -Wl,--wrap=remove_conn,--wrap=removeConn,--wrap=add_msg,--wrap=addMsg
 * link: -Wl,--wrap=write_msg,--wrap=write_to_client,--wrap=writeToClient
 * link: -Wl,--wrap=chat_feed,--wrap=chat_tell,--wrap=chat_get_info
 * link: -Wl,--wrap=chat_receive,--wrap=chat_next_line,--wrap=chat_say
 * link: -Wl,--wrap=chat_cork,--wrap=chat_uncork
 */

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lists.h"
#include "chatServerExt.h"
#include "kernel.h"
#include "memory.h"

/* Declares a function of the library and begins its replacement. */
#define BETWEEN(name, parameters)     \
	int __real_##name parameters; \
	int __wrap_##name parameters; \
	int __wrap_##name parameters

/* The pool that may be corked: a call on it may deliver the batch even if it fails. */
static _Thread_local const conn_pool_t *corked;

static bool is_corked(const conn_pool_t *pool)
{
	return pool != NULL && pool == corked;
}

/* ---- Calls that need no memory ---- */

static _Thread_local int errno_before;

static void enter_without_memory(struct kernel_plan plan)
{
	errno_before = errno;
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
	CHECK(outcome == -1 || errno == errno_before);
	leave_without_memory();
	/* The batch goes with the last connection. */
	if (is_corked(pool) && pool->conn_head == NULL)
		corked = NULL;
	return outcome;
}

#define NO_ALLOC(name, parameters, arguments)                    \
	BETWEEN(name, parameters)                                \
	{                                                        \
		enter_without_memory((struct kernel_plan){ 0 }); \
		return leave(__real_##name arguments, pool);     \
	}

/* It takes the star for a product: */
/* clang-format off */
NO_ALLOC(init_pool, (conn_pool_t *pool), (pool))
NO_ALLOC(initPool, (conn_pool_t *pool), (pool))
/* clang-format on */
NO_ALLOC(remove_conn, (int sd, conn_pool_t *pool), (sd, pool))
NO_ALLOC(removeConn, (int sd, conn_pool_t *pool), (sd, pool))
NO_ALLOC(chat_next_line, (int sd, const char **line, conn_pool_t *pool), (sd, line, pool))
NO_ALLOC(chat_get_info, (int sd, conn_pool_t *pool, chat_conn_info_t *info), (sd, pool, info))

/* ---- Writing ---- */

typedef int hand_out(int sd, conn_pool_t *pool);

static int write_with(hand_out *write, struct kernel_plan plan, int sd, conn_pool_t *pool,
                      bool *failed)
{
	int outcome;

	enter_without_memory(plan);
	outcome = write(sd, pool);
	/* It tells why the kernel takes no more. */
	CHECK(outcome != 0 || errno == errno_before || errno == EAGAIN || errno == ENOBUFS ||
	      errno == ENOMEM);
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

/* All that is queued, as one block. */
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

/* Checks that exactly these bytes are queued, and that the bit is cleared when there are none. */
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
	static const int errors[] = { EPIPE, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, EIO };
	struct kernel_plan plan = { .failing = 1 + number / 5 % 2,
		                    .fault = errors[number % 5],
		                    .pretends = true };
	struct snapshot before = take_snapshot(pool);
	const conn_t *conn = conn_of(sd, pool);
	bool failed;
	int outcome = write_with(write, plan, sd, pool, &failed);

	CHECK(!failed || (outcome == -1 && errno == plan.fault));
	CHECK(conn_of(sd, pool) == conn);
	CHECK(has_same_members(&before, pool));
	check_queue(conn, NULL, 0, true, pool);
	CHECK_EQ(write_with(write, (struct kernel_plan){ 0 }, sd, pool, &failed), 0);
}

/* How many broken connections to try: enough for every kind; each costs a process. */
enum { BREAKS = 32 };
static _Thread_local int breaks;

/* The effect of a broken connection cannot be undone, so a forked copy of the process tries it. On
 * success it ends by a signal, so that it neither flushes inherited output nor reports leaks. */
static void try_broken_in_a_copy(hand_out *write, int sd, conn_pool_t *pool)
{
	void (*disposition)(int);
	int status;
	pid_t child;

	if (breaks == BREAKS)
		return;
	/* The server ignores it, and then there would be no status. */
	disposition = signal(SIGCHLD, SIG_DFL);
	child = fork();
	CHECK(child != -1);
	if (child == 0) {
		check_broken(write, sd, pool, breaks);
		kill(getpid(), SIGKILL);
	}
	breaks++;
	while (waitpid(child, &status, 0) == -1)
		CHECK_EQ(errno, EINTR);
	signal(SIGCHLD, disposition);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Writes with one fault after the other, until the planned one no longer occurs. `bytes` is what is
 * queued. */
static int write_through_faults(hand_out *write, int sd, conn_pool_t *pool, const char *bytes,
                                int error)
{
	static const int faults[] = { EAGAIN, ENOBUFS, ENOMEM, ONE_BYTE };
	enum { FAULTS = sizeof faults / sizeof faults[0] };
	const conn_t *conn = conn_of(sd, pool);
	bool bit_was_set = FD_ISSET(sd, &pool->write_set) != 0, failed = true;
	size_t left = bytes_queued(conn);
	int at;

	for (at = 0; failed; at++) {
		struct kernel_plan plan = { .failing = 1 + at / FAULTS,
			                    .fault = faults[at % FAULTS],
			                    .bytes = bytes };

		errno = error;
		/* A real failure of the descriptor, which ends the trial. */
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
	int outcome, error = errno;
	bool unused;
	char *bytes;

	if (conn == NULL || conn->write_msg_head == NULL)
		return write_with(write, (struct kernel_plan){ 0 }, sd, pool, &unused);
	try_broken_in_a_copy(write, sd, pool);
	bytes = copy_of_queue(conn);
	outcome = write_through_faults(write, sd, pool, bytes, error);
	error = errno;
	free(bytes);
	errno = error;
	return outcome;
}

#define WRITING(name)                                           \
	BETWEEN(name, (int sd, conn_pool_t *pool))              \
	{                                                       \
		return write_tortured(__real_##name, sd, pool); \
	}

WRITING(write_msg)
WRITING(write_to_client)
WRITING(writeToClient)

/* ---- Calls that need memory ---- */

/* A call that is being tried with each failure. */
struct trial {
	conn_pool_t *pool;
	struct snapshot before;
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
		trial.before = take_snapshot(pool);
	enter(&trial);
	return trial;
}

/* Sends what a kernel that was full by chance has not taken, since the test expects it to be sent.
 * Failures are left for the test to find. */
static void make_up(conn_pool_t *pool)
{
	conn_t *conn;

	for (conn = pool->conn_head; conn != NULL; conn = conn->next) {
		if (kernel_has_failed(conn->fd) && conn->write_msg_head != NULL)
			(void)__real_write_msg(conn->fd, pool);
	}
}

/* Checks that the call changed nothing; but a corked pool may have delivered a part of its
 * batch. */
static void check_nothing_happened(const struct trial *trial)
{
	const conn_t *conn;

	if (!is_corked(trial->pool)) {
		CHECK(is_unchanged(&trial->before, trial->pool));
		return;
	}
	CHECK(has_same_members(&trial->before, trial->pool));
	for (conn = trial->pool->conn_head; conn != NULL; conn = conn->next)
		check_queue_sound(conn);
}

/* Checks how the call ended and plans the next failure; false when none is left, or the call
 * succeeded in spite of one. */
static bool again(struct trial *trial, int outcome)
{
	int error = errno, asked_for = memory_leave();
	bool failed = asked_for >= trial->failing;

	kernel_leave();
	if (failed && outcome == 0) {
		/* The text is in the batch, which is full; it is delivered once there is memory. */
		CHECK(is_corked(trial->pool));
		CHECK_EQ(chat_uncork(trial->pool), 0);
		CHECK_EQ(chat_cork(trial->pool), 0);
		failed = false;
	}
	CHECK(outcome != 0 || error == trial->error);
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

#define TRIED(name, arguments, outcome)                    \
	do {                                               \
		struct trial trial = begin(pool);          \
                                                           \
		do                                         \
			outcome = __real_##name arguments; \
		while (again(&trial, outcome));            \
	} while (0)

#define MAY_ALLOC(name, parameters, arguments)   \
	BETWEEN(name, parameters)                \
	{                                        \
		int outcome;                     \
                                                 \
		TRIED(name, arguments, outcome); \
		return outcome;                  \
	}

MAY_ALLOC(add_conn, (int sd, conn_pool_t *pool), (sd, pool))
MAY_ALLOC(addConn, (int sd, conn_pool_t *pool), (sd, pool))
MAY_ALLOC(add_msg, (int sd, char *buffer, int len, conn_pool_t *pool), (sd, buffer, len, pool))
MAY_ALLOC(addMsg, (int sd, char *buffer, int len, conn_pool_t *pool), (sd, buffer, len, pool))
MAY_ALLOC(chat_tell, (int sd, const char *buffer, int len, conn_pool_t *pool),
          (sd, buffer, len, pool))
MAY_ALLOC(chat_say, (int sd, const char *buffer, int len, conn_pool_t *pool),
          (sd, buffer, len, pool))
MAY_ALLOC(chat_receive, (int sd, const char *buffer, int len, conn_pool_t *pool),
          (sd, buffer, len, pool))
MAY_ALLOC(chat_feed, (int sd, const char *buffer, int len, conn_pool_t *pool),
          (sd, buffer, len, pool))

/* clang-format off */
BETWEEN(chat_cork, (conn_pool_t *pool))
/* clang-format on */
{
	int outcome;

	TRIED(chat_cork, (pool), outcome);
	if (outcome == 0 && pool->conn_head != NULL)
		corked = pool;
	return outcome;
}

/* clang-format off */
BETWEEN(chat_uncork, (conn_pool_t *pool))
/* clang-format on */
{
	int outcome;

	TRIED(chat_uncork, (pool), outcome);
	if (outcome == 0 && is_corked(pool))
		corked = NULL;
	return outcome;
}

/* ---- The beginning and the end ---- */

/* The environment variable TORTURE_SEED repeats a failed run. */
static unsigned int seed;

static void report(int status, void *unused)
{
	(void)unused;
	if (status == EXIT_SUCCESS)
		fprintf(stderr, "faults injected: %ld\n", memory_end() + kernel_faults() + breaks);
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
