/*
 * room - a chat room in C++11: the pool and every descriptor have an owner, and what goes wrong is
 * an exception.
 *
 * None ever has to pass through C: the library calls nothing back, and its -1 becomes an exception
 * only when it has returned.
 */

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chatServerExt.h"

namespace {

// What a call has returned, unless it is -1.
template <typename Number> Number checked(Number result, const char *what)
{
	if (result == -1)
		throw std::system_error(errno, std::generic_category(), what);
	return result;
}

// ---- Owners ----

// Owns a descriptor.
class Descriptor {
public:
	explicit Descriptor(int number) noexcept : number_(number) {}
	Descriptor(Descriptor &&other) noexcept : number_(other.release()) {}
	Descriptor(const Descriptor &) = delete;
	Descriptor &operator=(const Descriptor &) = delete;

	~Descriptor()
	{
		if (number_ != -1)
			close(number_);
	}

	int get() const noexcept { return number_; }

	// Leaves the descriptor to somebody else.
	int release() noexcept
	{
		const int number = number_;

		number_ = -1;
		return number;
	}

private:
	int number_;
};

// Owns a pool, and with it the connections and their descriptors. It is not copied: they have one
// owner.
class Pool {
public:
	Pool() { checked(init_pool(&pool_), "init_pool"); }
	Pool(const Pool &) = delete;
	Pool &operator=(const Pool &) = delete;

	~Pool()
	{
		while (pool_.conn_head != nullptr)
			remove_conn(pool_.conn_head->fd, &pool_);
	}

	conn_pool_t *get() noexcept { return &pool_; }
	conn_pool_t *operator->() noexcept { return &pool_; }

	// Takes a descriptor over, and answers its number. What it refuses stays with its owner.
	int add(Descriptor &&descriptor)
	{
		checked(add_conn(descriptor.get(), &pool_), "add_conn");
		return descriptor.release();
	}

private:
	conn_pool_t pool_;
};

// Holds back what is said while it lives, for everyone to get it by one system call.
class Cork {
public:
	explicit Cork(Pool &pool) noexcept : pool_(pool.get()) { chat_cork(pool_); }
	Cork(const Cork &) = delete;
	Cork &operator=(const Cork &) = delete;

	// What there is no memory for stays corked, and leaves at the end of another pass.
	~Cork() { chat_uncork(pool_); }

private:
	conn_pool_t *pool_;
};

// ---- The room ----

class Room {
public:
	explicit Room(Descriptor &&listener) : listener_(pool_.add(std::move(listener))) {}

	// Waits with this signal mask, and serves everyone who is ready.
	void pass(const sigset_t &mask)
	{
		pool_->ready_read_set = pool_->read_set;
		pool_->ready_write_set = pool_->write_set;
		pool_->nready = pselect(pool_->maxfd + 1, &pool_->ready_read_set,
		                        &pool_->ready_write_set, nullptr, nullptr, &mask);
		if (pool_->nready == -1 && errno == EINTR)
			return;
		checked(pool_->nready, "pselect");
		read_ready();
		write_ready();
	}

private:
	void read_ready()
	{
		const Cork cork(pool_);

		for (int sd = 0; sd <= pool_->maxfd; sd++) {
			if (!FD_ISSET(sd, &pool_->ready_read_set))
				continue;
			if (sd == listener_)
				let_in();
			else
				read_from(sd);
		}
	}

	void write_ready()
	{
		for (int sd = 0; sd <= pool_->maxfd; sd++) {
			// Whom this fails for is gone, which the next read finds out.
			if (FD_ISSET(sd, &pool_->ready_write_set))
				write_msg(sd, pool_.get());
		}
	}

	// A newcomer for whom there is no room is no reason to end.
	void let_in()
	{
		try {
			pool_.add(
				Descriptor(checked(accept(listener_, nullptr, nullptr), "accept")));
		} catch (const std::system_error &error) {
			std::cerr << error.what() << '\n';
			if (error.code() == std::errc::too_many_files_open)
				FD_CLR(listener_, &pool_->read_set); // until somebody leaves
		}
	}

	void read_from(int sd)
	{
		try {
			if (pass_on(sd))
				return;
		} catch (const std::system_error &error) {
			std::cerr << error.what() << '\n';
		}
		remove_conn(sd, pool_.get());
		FD_SET(listener_, &pool_->read_set);
	}

	// Passes on what a client has said; false at its end.
	bool pass_on(int sd)
	{
		char text[BUFFER_SIZE];
		const ssize_t length = checked(read(sd, text, sizeof text), "read");

		// With 0, what came without a newline is passed on as well.
		checked(chat_feed(sd, text, static_cast<int>(length), pool_.get()), "chat_feed");
		return length > 0;
	}

	Pool pool_;
	int listener_; // the pool owns it
};

// ---- The program ----

Descriptor listen_on(unsigned short port)
{
	// Non-blocking: a newcomer may have left again before it is accepted.
	Descriptor listener(checked(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket"));
	const int on = 1;
	sockaddr_in address = sockaddr_in();

	address.sin_family = AF_INET;
	address.sin_port = htons(port);
	checked(setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "setsockopt");
	checked(bind(listener.get(), reinterpret_cast<sockaddr *>(&address), sizeof address),
	        "bind");
	checked(listen(listener.get(), SOMAXCONN), "listen");
	return listener;
}

volatile std::sig_atomic_t ended = 0;

extern "C" void on_signal(int)
{
	ended = 1;
}

// Lets the signals that end the program in only while it waits, or one that comes just before
// would be lost. Answers the mask to wait with.
sigset_t catch_signals()
{
	struct sigaction action = {};
	sigset_t blocked, waiting;

	action.sa_handler = on_signal;
	sigemptyset(&blocked);
	for (const int signal : { SIGINT, SIGTERM }) {
		sigaddset(&blocked, signal);
		checked(sigaction(signal, &action, nullptr), "sigaction");
	}
	checked(sigprocmask(SIG_BLOCK, &blocked, &waiting), "sigprocmask");
	return waiting;
}

unsigned short port_from(int argc, char *argv[])
{
	const int port = argc == 2 ? std::atoi(argv[1]) : 0;

	if (port < 1 || port > 65535)
		throw std::invalid_argument("usage: room PORT");
	return static_cast<unsigned short>(port);
}

} // namespace

int main(int argc, char *argv[])
{
	try {
		const sigset_t waiting = catch_signals();
		Room room(listen_on(port_from(argc, argv)));

		while (!ended)
			room.pass(waiting);
	} catch (const std::exception &error) {
		std::cerr << error.what() << '\n';
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
