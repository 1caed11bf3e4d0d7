// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker: one thread per disk, started when first needed, that does the slow operations one after
 * the other and tells the queues' loops.
 *
 * Runs on: its own thread; add on the queues' loops.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "disk/disk_priv.h"
#include "lkvm/log.h"

void disk_worker_init(struct disk *disk)
{
	struct disk_worker *w = &disk->worker;

	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	w->tail = &w->head;
}

static void *worker_main(void *opaque)
{
	struct disk *disk = opaque;
	struct disk_worker *w = &disk->worker;
	struct disk_io *io;

	prctl(PR_SET_NAME, disk->name);
	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->head && !w->quit)
			pthread_cond_wait(&w->more, &w->lock);
		io = w->head;
		if (!io)
			break;
		w->head = io->next;
		if (!w->head)
			w->tail = &w->head;
		pthread_mutex_unlock(&w->lock);
		disk_queue_worked(io, disk_sync_io(disk, io, disk_queue_pos(io)));
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Under the lock. Signals are for the main thread. */
static bool start(struct disk *disk)
{
	struct disk_worker *w = &disk->worker;
	sigset_t all, old;
	int err;

	if (w->started)
		return true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&w->thread, NULL, worker_main, disk);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		log_guest(disk->name, "cannot start the disk's thread: %s; doing without",
			  strerror(err));
		return false;
	}
	w->started = true;
	return true;
}

void disk_worker_add(struct disk *disk, struct disk_io *io)
{
	struct disk_worker *w = &disk->worker;
	bool started;

	pthread_mutex_lock(&w->lock);
	started = start(disk);
	if (started) {
		io->next = NULL;
		*w->tail = io;
		w->tail = &io->next;
		pthread_cond_signal(&w->more);
	}
	pthread_mutex_unlock(&w->lock);
	if (!started)
		disk_queue_worked(io, disk_sync_io(disk, io, disk_queue_pos(io)));
}

void disk_worker_fini(struct disk *disk)
{
	struct disk_worker *w = &disk->worker;

	pthread_mutex_lock(&w->lock);
	w->quit = true;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
	if (w->started)
		pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
}
