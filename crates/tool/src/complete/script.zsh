#compdef rbpftool
# zsh completion for rbpftool: it asks the program itself.

_rbpftool() {
    local line names=none
    local -a lines candidates
    lines=("${(@f)$(${(Q)words[1]} __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    for line in "${lines[@]}"; do
        case $line in
            ('') ;;
            (:*) names=${line#:} ;;
            (*$'\t'*) candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
            (*) candidates+=("${line//:/\\:}") ;;
        esac
    done
    local found=1
    if (( $#candidates )); then
        _describe rbpftool candidates && found=0
    fi
    case $names in
        (files) _files && found=0 ;;
        (directories) _files -/ && found=0 ;;
    esac
    return found
}

if [[ ${funcstack[1]} == _rbpftool ]]; then
    _rbpftool "$@"
else
    compdef _rbpftool rbpftool
fi
