#compdef message-passing message-pass
# zsh completion of message-passing. Written by scripts/completion.py: change that.

_message_passing_input() { compadd -- FileTail JetStream Kafka Null Redis Redis::Streams Socket::UDP STDIN ZeroMQ }
_message_passing_output() { compadd -- Callback File IO::Handle JetStream Kafka Null Redis Redis::Streams Socket::UDP STDERR STDOUT Test ZeroMQ }
_message_passing_filter() { compadd -- Aggregate All Dedupe Delay Enrich Fallback Follow Keep Key Mangle Multiline Null Parse Redact Regexp Remove Rename Retry Route Sample Script Set Stamp T Throttle ToLogstash Where }
_message_passing_decoder() { compadd -- Bzip2 Crypt::CBC Gzip JSON JSONLines Null Zstd }
_message_passing_encoder() { compadd -- Bzip2 Crypt::CBC Gzip JSON JSONLines Null Template Zstd }
_message_passing_error() { compadd -- Callback File IO::Handle JetStream Kafka Null Redis Redis::Streams Socket::UDP STDERR STDOUT Test ZeroMQ }
_message_passing_error_encoder() { compadd -- Bzip2 Crypt::CBC Gzip JSON JSONLines Null Template Zstd }
_message_passing_io_priority() { compadd -- none be rt idle }
_message_passing_completion() { compadd -- bash zsh }
_message_passing_describe() { compadd -- Aggregate All Bzip2 Callback Crypt::CBC Dedupe Delay Enrich Fallback File FileTail Follow Gzip IO::Handle JetStream JSON JSONLines Kafka Keep Key Mangle Multiline Null Parse Redact Redis Redis::Streams Regexp Remove Rename Retry Route Sample Script Set Socket::UDP Stamp STDERR STDIN STDOUT T Template Test Throttle ToLogstash Where ZeroMQ Zstd }
_message_passing_commands() { compadd -- check create describe doctor graph keys list losses replay run schema send spool tail test top trace }

_message_passing() {
    local -a running
    running=(
        --input':input:_message_passing_input'
        \*{--input_options,--input-options}':options:'
        --output':output:_message_passing_output'
        \*{--output_options,--output-options}':options:'
        --filter':filter:_message_passing_filter'
        \*{--filter_options,--filter-options}':options:'
        --decoder':decoder:_message_passing_decoder'
        \*{--decoder_options,--decoder-options}':options:'
        --encoder':encoder:_message_passing_encoder'
        \*{--encoder_options,--encoder-options}':options:'
        --error':error:_message_passing_error'
        \*{--error_options,--error-options}':options:'
        {--error_encoder,--error-encoder}':error_encoder:_message_passing_error_encoder'
        \*{--error_encoder_options,--error-encoder-options}':options:'
        --daemonize'[Go to the background once the chain runs.]'
        --quiet'[Report only problems no signs of life, no totals at the end.]'
        {--pid_file,--pid-file}'[File to write the process id to.]:file:_files'
        --user'[User to become, once privileged sockets are open.]:user:_users'
        {--io_priority,--io-priority}'[Input/output scheduling class.]:io_priority:_message_passing_io_priority'
        --control'[Unix socket to serve `top`, `tail` and `doctor` on.]:file:_files'
        --http'[HOSTPORT to serve the monitoring page and metrics on.]'
        {--http_token,--http-token}'[Token that clients of --http must present, or envNAME.]'
        --name'[Its name in `top`, on the page and in `ps`.]'
        {--state_dir,--state-dir}'[Directory of the ledger of losses. With --control or --http, there is always a ledger.]:file:_files'
        {--ledger_days,--ledger-days}'[Days for which losses are kept.]'
        {--ledger_bytes,--ledger-bytes}'[Maximum size of the ledger in bytes; the oldest losses are removed first.]'
        --configfile'[JSON, TOML or YAML file with these options, or a directory of such; may be repeated.]:file:_files'
        --workers'[Processes that decode, filter and encode; 0 none.]'
        {--report_limit,--report-limit}'[How much of a failed message a report shows this option of all components.]'
        {--dead_letters,--dead-letters}'[Report failed messages whole this option of all components.]'
        --help
        --version
        --describe'::describe:_message_passing_describe'
        --completion'::completion:_message_passing_completion'
    )
    if (( CURRENT == 2 )); then
        _arguments '1:command:_message_passing_commands' $running
        return
    fi
    case "$words[2]" in
        check) shift words; (( CURRENT-- )); _arguments '--json' '--connect' '--timeout:value: ' $running '*:word:_files' ;;
        create) shift words; (( CURRENT-- )); _arguments '--help' '--format:value:(toml yaml json)' '*:word:(Aggregate All Bzip2 Callback Crypt\:\:CBC Dedupe Delay Enrich Fallback File FileTail Follow Gzip IO\:\:Handle JetStream JSON JSONLines Kafka Keep Key Mangle Multiline Null Parse Redact Redis Redis\:\:Streams Regexp Remove Rename Retry Route Sample Script Set Socket\:\:UDP Stamp STDERR STDIN STDOUT T Template Test Throttle ToLogstash Where ZeroMQ Zstd)' ;;
        describe) shift words; (( CURRENT-- )); _arguments '--help' '--json' '*:word:(Aggregate All Bzip2 Callback Crypt\:\:CBC Dedupe Delay Enrich Fallback File FileTail Follow Gzip IO\:\:Handle JetStream JSON JSONLines Kafka Keep Key Mangle Multiline Null Parse Redact Redis Redis\:\:Streams Regexp Remove Rename Retry Route Sample Script Set Socket\:\:UDP Stamp STDERR STDIN STDOUT T Template Test Throttle ToLogstash Where ZeroMQ Zstd)' ;;
        doctor) shift words; (( CURRENT-- )); _arguments '--help' '--options:value: ' '--socket-type:value:(PUB PUSH DEALER ROUTER)' '--node:value: ' '--token:value: ' '--no-canary' '--timeout:value: ' '--json' '--curve-secret-key:value:_files' '--curve-server-key:value:_files' '--curve-allowed-keys:value:_files' '--plain-username:value: ' '--plain-password:value: ' '*:word: ' ;;
        graph) shift words; (( CURRENT-- )); _arguments '--format:value:(text mermaid svg)' $running '*:word:_files' ;;
        keys) shift words; (( CURRENT-- )); _arguments '--help' '--folder:value:_files' '--json' '*:word:(new allow list revoke)' ;;
        list) shift words; (( CURRENT-- )); _arguments '--help' '--json' '*:word:(inputs decoders filters encoders outputs)' ;;
        losses) shift words; (( CURRENT-- )); _arguments '--help' '--since:value: ' '--until:value: ' '--node:value: ' '--token:value: ' '--json' '*:word: ' ;;
        replay) shift words; (( CURRENT-- )); _arguments '--help' '--to:value: ' '--config:value: ' '--at:value: ' '--socket-type:value:(DEALER PUSH)' '--rate:value: ' '--reason:value: ' '--resume:value:_files' '--timeout:value: ' '--curve-secret-key:value:_files' '--curve-server-key:value:_files' '--curve-allowed-keys:value:_files' '--plain-username:value: ' '--plain-password:value: ' '*:word: ' ;;
        run) shift words; (( CURRENT-- )); _arguments $running '*:word:_files' ;;
        schema) shift words; (( CURRENT-- )); _arguments '--help' '*:word: ' ;;
        send) shift words; (( CURRENT-- )); _arguments '--help' '--connect:value: ' '--bind:value: ' '--socket-type:value:(PUB PUSH)' '--level:value: ' '--field:value: ' '--json' '--tag:value: ' '--timeout:value: ' '--linger:value: ' '--curve-secret-key:value:_files' '--curve-server-key:value:_files' '--curve-allowed-keys:value:_files' '--plain-username:value: ' '--plain-password:value: ' '*:word: ' ;;
        spool) shift words; (( CURRENT-- )); _arguments '--help' '--json' '*:word: ' ;;
        tail) shift words; (( CURRENT-- )); _arguments '--help' '--level:value: ' '--field:value: ' '--search:value: ' '--where:value: ' '--follow-sender:value: ' '--format:value: ' '--json' '--color:value:(auto always never)' '--colour:value:(auto always never)' '--count:value: ' '--at:value: ' '--token:value: ' '--bind' '--subscribe:value: ' '--curve-secret-key:value:_files' '--curve-server-key:value:_files' '--curve-allowed-keys:value:_files' '--plain-username:value: ' '--plain-password:value: ' '*:word: ' ;;
        test) shift words; (( CURRENT-- )); _arguments '--help' '--json' '*:word:_files' ;;
        top) shift words; (( CURRENT-- )); _arguments '--help' '--token:value: ' '--interval:value: ' '--sort:value:(lost idle received name)' '--where:value: ' '--once' '--json' '*:word: ' ;;
        trace) shift words; (( CURRENT-- )); _arguments '--help' '--at:value: ' '--json' '*:word: ' ;;
        *) _arguments $running ;;
    esac
}

if [ "$funcstack[1]" = "_message_passing" ]; then
    _message_passing "$@"
else
    compdef _message_passing message-passing message-pass
fi
