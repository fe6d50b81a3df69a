# frozen_string_literal: true

# The whole job as the Open Build Service's mail job does it: up to 1,000
# events that are not done yet, oldest first; for each of them its subscribers,
# a mailer, delivery over a connection of its own, and a row that says so.
#
#     peer.rb HOST PORT MAILS
#
# Its views (ERB) equal the templates of bench/templates/measure.

require 'action_mailer'
require 'active_record'
require 'pg'

LIMIT = 1000
HOST, PORT, MAILS = ARGV

ActiveRecord::Base.logger = nil
ActiveRecord::Base.establish_connection(
  adapter: 'postgresql', host: ENV.fetch('PGHOST'), port: ENV.fetch('PGPORT'),
  username: ENV.fetch('PGUSER'), database: ENV.fetch('PGDATABASE')
)

# Somebody who can be written to.
class Recipient < ActiveRecord::Base
  self.table_name = 'postbatch.recipient'
end

# An event that was mailed.
class Done < ActiveRecord::Base
  self.table_name = 'peer.done'
  self.primary_key = 'event_id'
end

# Something that happened.
class Event < ActiveRecord::Base
  self.table_name = 'postbatch.event'
  self.primary_key = 'id'
  self.inheritance_column = nil

  scope :not_done, lambda {
    where('NOT EXISTS (SELECT FROM peer.done AS d' \
          ' WHERE d.event_id = postbatch.event.id)')
  }

  def subscribers
    Recipient.where(id: payload['recipient'])
  end
end

ActionMailer::Base.logger = nil
ActionMailer::Base.delivery_method = :smtp
ActionMailer::Base.smtp_settings = {
  address: HOST, port: PORT.to_i, enable_starttls_auto: false
}
ActionMailer::Base.prepend_view_path(File.join(__dir__, 'views'))

# The mails about events.
class EventMailer < ActionMailer::Base
  def event(recipient, event)
    @recipient = recipient
    @payload = event.payload
    mail(from: 'Build Service <notify@example.org>',
         to: "#{recipient.name} <#{recipient.email}>",
         message_id: "<#{event.id}.rails@example.org>",
         date: Time.now,
         subject: "#{@payload['project']}/#{@payload['package']} is " \
                  "#{@payload['state']} (#{@payload['number']})")
  end
end

def work(mails)
  sent = 0
  while sent < mails
    events = Event.not_done.order(:created_at)
                  .limit([LIMIT, mails - sent].min).to_a
    abort 'no more events' if events.empty?
    events.each do |event|
      event.subscribers.each do |recipient|
        EventMailer.event(recipient, event).deliver_now
      end
      Done.create!(event_id: event.id)
      sent += 1
    end
  end
end

# What a running application has loaded long ago.
Event.columns
Recipient.columns
Done.columns
EventMailer.event(Recipient.first, Event.first).message.to_s

$stdout.puts 'ready'
$stdout.flush
$stdin.gets
work(MAILS.to_i)
$stdout.puts 'done'
$stdout.flush
